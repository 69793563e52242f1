"""Runs of events, joined into the bytes that every stream of a channel sends."""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from cortex_server.log import LoggedEvent

CHUNK_BYTES = 65_536


class Batch:
    """Events of one channel in position order, joined once for all who read them.

    project: whose seq to note, or None · seq: of the last event of that project in here · first,
    last: positions.

    It keeps no event: a slow reader holds these bytes and 16 more for each event.
    """

    __slots__ = ("_ends", "_positions", "blob", "first", "last", "seq")

    def __init__(self, events: Iterable[LoggedEvent], project: str | None) -> None:
        frames: list[bytes] = []
        self._positions, self._ends = array("q"), array("q")
        self.seq: int | None = None
        end = 0
        for event in events:
            frame = event.frame
            frames.append(frame)
            end += len(frame)
            self._positions.append(event.position)
            self._ends.append(end)
            if project is not None and event.project == project:
                self.seq = event.seq
        self.blob = frames[0] if len(frames) == 1 else b"".join(frames)
        self.first, self.last = self._positions[0], self._positions[-1]

    @property
    def positions(self) -> list[int]:
        return list(self._positions)

    def __len__(self) -> int:
        return len(self._positions)

    def after(self, cursor: int, until: int | None = None) -> bytes:
        """The frames of the events behind `cursor`, and up to `until` where that is given."""
        if until is None and self._positions[0] > cursor:
            return self.blob
        begin = self._end_of(cursor)
        return self.blob[begin:] if until is None else self.blob[begin : self._end_of(until)]

    def _end_of(self, position: int) -> int:
        """Where the frames of the events up to `position` end."""
        seen = bisect_right(self._positions, position)
        return self._ends[seen - 1] if seen else 0


def batches(events: Iterable[LoggedEvent], project: str | None) -> Iterator[Batch]:
    """Cut events into batches of at most a chunk; a larger event is one by itself."""
    run: list[LoggedEvent] = []
    size = 0
    for event in events:
        if run and size + len(event.frame) > CHUNK_BYTES:
            yield Batch(run, project)
            run, size = [], 0
        run.append(event)
        size += len(event.frame)
    if run:
        yield Batch(run, project)
