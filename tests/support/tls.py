"""A private authority, and a proxy whose certificate it signed."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.support import needs

_EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


@dataclass(frozen=True)
class Authority:
    """ca: its own certificate · certificate, key: what it signed for 127.0.0.1."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, directory: Path) -> Authority:
        made = cls(directory / "ca.pem", directory / "leaf.pem", directory / "leaf.key")
        ca_key = directory / "ca.key"
        _request("/CN=Private CA", "basicConstraints=critical,CA:TRUE", ca_key, made.ca)
        _request(
            "/CN=127.0.0.1", "subjectAltName=IP:127.0.0.1", made.key, made.certificate,
            "-CA", str(made.ca), "-CAkey", str(ca_key),
        )  # fmt: skip
        return made


def _request(subject: str, extension: str, key: Path, out: Path, *signed: str) -> None:
    words = ["-subj", subject, "-addext", extension, "-keyout", str(key), "-out", str(out)]
    subprocess.run(
        [needs.program("openssl"), "req", "-x509", *_EC, *words, *signed],
        check=True, capture_output=True,
    )  # fmt: skip


class TlsProxy:
    """Speaks TLS at `port` and plain TCP with `target`.

    url: where clients connect · trusted: how many connections clients did not refuse.
    """

    def __init__(self, authority: Authority, port: int, target: int) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.trusted = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(authority.certificate, authority.key)
        self._port, self._target = port, target
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> TlsProxy:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda *_: None)  # a client that does not trust us leaves
        server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._context)
        self._ready.set()
        await self._over.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.trusted += 1
        with contextlib.suppress(OSError):
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()
    sink.close()
