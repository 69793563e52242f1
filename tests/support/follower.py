"""A subscriber that uses the SDK, on a thread; a test looks at what it has received."""

import threading
from types import TracebackType
from typing import Any, TypeVar

from cortex_cli import sdk
from tests.support.server import DEADLINE_S, Server, wait_for

V = TypeVar("V")


class Follower:
    """values: all that the stream has yielded. Options are those of `CortexClient.events`."""

    def __init__(self, server: Server, dashboard: bool = False, **options: Any) -> None:
        self.values: list[sdk.Value] = []
        url = options.pop("url", server.url)
        self._client = sdk.CortexClient(
            url, options.pop("token", server.token), ca_file=server.ca_file
        )
        open_stream = self._client.dashboard if dashboard else self._client.events
        self.stream = open_stream(**options)
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "Follower":
        self._thread.start()
        self.wait_for(sdk.Connected)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stream.close()
        self._thread.join(DEADLINE_S)
        self._client.close()

    def of(self, kind: type[V]) -> list[V]:
        return [value for value in list(self.values) if isinstance(value, kind)]

    @property
    def events(self) -> list[sdk.Event]:
        return self.of(sdk.Event)

    def wait_for(self, kind: type[V], count: int = 1, deadline_s: float = DEADLINE_S) -> list[V]:
        """Wait until so many values of a kind have come, and return all of them."""
        wait_for(lambda: len(self.of(kind)) >= count, f"{count} {kind.__name__}", deadline_s)
        return self.of(kind)

    def _follow(self) -> None:
        for value in self.stream:
            self.values.append(value)
