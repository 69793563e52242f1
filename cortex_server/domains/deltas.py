"""Deltas that come in a list: those that continue each other are one."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from cortex_server.errors import CortexError, Unavailable

JOINED_MAX = 16_384  # characters, so that no event becomes much larger than a chunk of the stream
Append = Callable[["Piece"], None]  # all of a piece, or raises CortexError and none of it


@dataclass(frozen=True)
class Piece:
    """Text for a part of a message, at an offset in code points. joins: what it is made of."""

    message: str
    part: int
    offset: int
    text: str
    joins: tuple["Piece", ...] = ()

    def continued_by(self, other: "Piece") -> bool:
        same = (self.message, self.part) == (other.message, other.part)
        return same and other.offset == self.offset + len(self.text)


def append_all(pieces: Iterable[Piece], append: Append) -> int:
    """Append the pieces in their order, neighbours as one; returns how many they were.

    Raises the first refusal, with how many were `applied` before it.
    """
    applied = 0
    waiting = list(joined(pieces))[::-1]
    while waiting:
        piece = waiting.pop()
        try:
            append(piece)
        except CortexError as error:
            # What was unavailable may have been appended all the same.
            if piece.joins and not isinstance(error, Unavailable):
                waiting += piece.joins[::-1]  # one by one: some may come before the wrong one
                continue
            error.extra["applied"] = applied
            raise
        applied += len(piece.joins) or 1
    return applied


def joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces in their order, neighbours that continue each other as one."""
    pending: list[Piece] = []
    size = 0
    for piece in pieces:
        fits = size + len(piece.text) <= JOINED_MAX
        if pending and fits and pending[-1].continued_by(piece):
            pending.append(piece)
            size += len(piece.text)
            continue
        yield from _as_one(pending)
        pending, size = [piece], len(piece.text)
    yield from _as_one(pending)


def _as_one(pieces: list[Piece]) -> Iterator[Piece]:
    if pieces:
        text = "".join(piece.text for piece in pieces)
        yield replace(pieces[0], text=text, joins=tuple(pieces) if len(pieces) > 1 else ())
