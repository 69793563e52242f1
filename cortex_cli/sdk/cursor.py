"""A place in a server's log, written `<epoch>.<position>`."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Printable ASCII only, as it goes back in a header; the digits are bounded so that
# reading them costs nothing.
_FORM = re.compile(r"(?P<epoch>[!-~]{1,128})\.(?P<position>[0-9]{1,19})\Z")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the log of one epoch."""

    epoch: str
    position: int

    @classmethod
    def find(cls, text: str | None) -> Cursor | None:
        """Return the cursor that the text spells, or None."""
        match = _FORM.match(text or "")
        return cls(match["epoch"], int(match["position"])) if match else None

    def covers(self, other: Cursor) -> bool:
        """Say whether a reader at this cursor already has `other`."""
        return self.epoch == other.epoch and other.position <= self.position

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}"
