"""What a row needs of a server: where it is, how one follows it, and how one publishes."""

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from scripts.bench_suite.load import MARK_BYTES, mark
from scripts.bench_suite.program import Program

PAYLOAD_BYTES = 300
FILLER = b"The agent says what it does, and why, in a line or two of plain text. " * 5


def text(size: int) -> bytes:
    """`size` bytes of text that begin with the mark and the present time."""
    return mark() + FILLER[: size - MARK_BYTES]


@dataclass
class Target:
    """A running server. Use it as a context manager; leaving it ends everything.

    subscribe: the request that opens a stream · publish: one for the next event, by its number
    bulk: one request for so many events, or None where there is no such thing
    greets: whether a stream's head comes before its first event
    programs: all of them; their processor time and memory count as the server's
    """

    name: str
    directory: Path
    port: int
    subscribe: bytes = b""
    publish: Callable[[int], bytes] = lambda number: b""
    bulk: Callable[[int], bytes] | None = None
    greets: bool = True
    programs: list[Program] = field(default_factory=list)
    closing: ExitStack = field(default_factory=ExitStack)

    def run(self, program: Program, port: int | None = None) -> Program:
        """Keep the program as part of this server, and wait for its port."""
        self.programs.append(program)
        program.wait_for_port(port or self.port)
        return program

    def cpu_s(self) -> float:
        return sum(program.cpu_s() for program in self.programs)

    def memory_kib(self) -> int:
        return sum(program.memory_kib() for program in self.programs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for program in reversed(self.programs):
            program.stop()
        self.closing.close()
        if kind is None:  # what failed keeps its logs
            shutil.rmtree(self.directory, ignore_errors=True)
