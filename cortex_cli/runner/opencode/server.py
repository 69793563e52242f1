"""One `opencode serve` for an attempt: started in its group, known by its health, ended with it."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cortex_cli.runner.errors import AdapterError, GroupError
from cortex_cli.runner.opencode.client import HOST, USER, Client, Refused, Unreachable

if TYPE_CHECKING:
    from cortex_cli.runner.group import Child, Group

_TRIES = 4  # ports
_LOOK_EVERY_S = 0.05
_TERM_S = 2.0  # it does not end by TERM while it waits for something
_KILL_S = 5.0
_TAIL = 2_000  # bytes of what it wrote
# Nothing from the network that the attempt did not ask for, and no plugins of the machine.
_QUIET = {
    **{
        f"OPENCODE_DISABLE_{what}": "1"
        for what in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "SHARE")
    },
    "OPENCODE_PURE": "1",
}


class Server:
    """A started server, which may not answer yet."""

    def __init__(
        self, group: Group, argv: Sequence[str], cwd: Path, environ: Mapping[str, str]
    ) -> None:
        self._group = group
        self._argv = list(argv)
        self._cwd = cwd
        self.password = secrets.token_urlsafe(24)
        self._environ = {
            **_QUIET,
            **environ,
            "OPENCODE_SERVER_USERNAME": USER,
            "OPENCODE_SERVER_PASSWORD": self.password,
        }
        self._launch()

    def _launch(self) -> None:
        """Start it at a free port. Raises AdapterError."""
        port = _free_port()
        argv = [*self._argv, "serve", "--port", str(port), "--hostname", HOST]
        try:
            self._child = self._group.popen(argv, cwd=self._cwd, environ=self._environ)
        except (OSError, GroupError) as error:
            raise AdapterError(f"OpenCode could not be started: {error}.") from error
        self._output = _Output(self._child)
        self.client = Client(port, self.password)

    def wait_until_ready(self, within_s: float, given_up: Callable[[], bool]) -> bool:
        """Return True when it answers, False when it was given up before.

        A port that another took meanwhile costs another try. Raises AdapterError with what it
        wrote when it ends or does not answer in time.
        """
        until = time.monotonic() + within_s
        tries = 1
        while not given_up():
            ours = True
            try:
                self.client.healthy(timeout_s=2.0)
            except Refused:
                ours = False  # another server, which has another password
            except Unreachable:
                pass
            else:
                return True
            if not ours or self._child.poll() is not None:
                if tries >= _TRIES:
                    raise AdapterError(f"OpenCode did not start: {self.last_words()}")
                tries += 1
                self.stop()
                self._launch()
            if time.monotonic() > until:
                raise AdapterError(
                    f"OpenCode did not answer within {within_s:g} s: {self.last_words()}"
                )
            time.sleep(_LOOK_EVERY_S)
        return False

    def exit_code(self) -> int | None:
        """Return its exit code, negative for a signal; None while it runs."""
        return self._child.poll()

    def last_words(self) -> str:
        """Return the last lines that it wrote, in one."""
        return self._output.tail() or "it wrote nothing."

    def stop(self) -> None:
        """End the server, not what it started; its connections should be closed before."""
        if self._child.poll() is None:
            for number, patience_s in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, _KILL_S)):
                self._child.send_signal(number)
                with contextlib.suppress(TimeoutError):
                    self._child.wait(patience_s)
                    break
        self._output.close()


class Health:
    """Asks a server again and again whether it is well, and delivers each answer.

    deliver: None when it is, the reason when it is not.
    """

    def __init__(
        self,
        client: Client,
        deliver: Callable[[str | None], None],
        name: str,
        *,
        every_s: float,
        timeout_s: float,
    ) -> None:
        self._client = client
        self._deliver = deliver
        self._every_s = every_s
        self._timeout_s = timeout_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"health {name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._every_s):
            reason = None
            try:
                self._client.healthy(self._timeout_s)
            except AdapterError as error:
                reason = str(error)
            if not self._closed.is_set():
                self._deliver(reason)


class _Output:
    """Reads what a server writes, so that it never waits for us, and keeps the end of it."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._tail = bytearray()
        self._lock = threading.Lock()
        self._wake, self._waker = socket.socketpair()
        self._closed = False
        self._thread = threading.Thread(target=self._read, name=f"output {child.pid}", daemon=True)
        self._thread.start()

    def tail(self) -> str:
        with self._lock:
            text = self._tail.decode("utf-8", "replace")
        return " ".join(text.split())

    def close(self) -> None:
        """Stop reading, whoever still holds the other ends."""
        if not self._closed:
            self._closed = True
            self._waker.send(b".")
            self._thread.join()
            self._waker.close()
            self._wake.close()
            self._child.close()

    def _read(self) -> None:
        with selectors.DefaultSelector() as ends:
            for given in (self._wake, self._child.stdout, self._child.stderr):
                ends.register(given, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in ends.select()]
                for end in ready:
                    if end is not self._wake:
                        self._take(ends, end)
                if ready == [self._wake]:  # and nothing that was written is left
                    return

    def _take(self, ends: selectors.BaseSelector, end: Any) -> None:
        piece = os.read(end.fileno(), 65_536)
        if not piece:
            ends.unregister(end)
        with self._lock:
            self._tail += piece
            del self._tail[:-_TAIL]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
