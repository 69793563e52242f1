"""Deltas that come in a list: those that continue each other are one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

JOINED_MAX = 16_384  # characters, so that no event becomes much larger than a chunk of the stream


@dataclass(frozen=True)
class Piece:
    """Text for a part of a message, at an offset in code points. made_of: so many deltas."""

    message: str
    part: int
    offset: int
    text: str
    made_of: int = 1

    def continued_by(self, other: "Piece") -> bool:
        same = (self.message, self.part) == (other.message, other.part)
        return same and other.offset == self.offset + len(self.text)


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
        yield replace(pieces[0], text=text, made_of=len(pieces))
