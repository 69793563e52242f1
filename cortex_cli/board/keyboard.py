"""What a terminal sends, read as keys: bytes in; keys, mouse presses and pastes out. Pure.

curses could read keys too, but not this: a paste is text and never keys, a sequence that nobody
knows is one thing and not the letters it ends with (`q` quits), a letter that came in two pieces
or a byte that is no letter loses nothing of what follows, and a paste of a megabyte is read in
pieces between which the board is drawn.
"""

import codecs
import re
from collections.abc import Mapping

from cortex_cli.board.messages import Clicked, Key, Pasted

JOINER = "\u200d"  # between the parts of one emoji: not printable, and yet typed
CONTROLS = {
    "\n": "enter", "\r": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace"
}  # fmt: skip
LETTERS = {
    "A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end", "Z": "backtab",
    "P": "f1", "Q": "f2", "R": "f3", "S": "f4",
}  # fmt: skip
# The keypad in its application mode, after ESC O.
KEYPAD = {"M": "enter", "X": "=", **dict(zip("jklmnopqrstuvwxy", "*+,-./0123456789", strict=True))}
NUMBERS = {
    1: "home", 2: "insert", 3: "delete", 4: "end", 5: "pgup", 6: "pgdn", 7: "home", 8: "end",
    11: "f1", 12: "f2", 13: "f3", 14: "f4", 15: "f5", 17: "f6", 18: "f7", 19: "f8", 20: "f9",
    21: "f10", 23: "f11", 24: "f12",
}  # fmt: skip
MODIFIERS = ((1, "shift"), (2, "alt"), (4, "ctrl"))
WHEEL = {64: "wheel-up", 65: "wheel-down"}
MOUSE_MODIFIERS = 0b11100
DOUBLE_CLICK_S = 0.4

PASTE_END = b"\x1b[201~"
PASTE_BYTES = 262_144  # kept of one paste
PASTE_SILENCE_S = 10.0  # after which a paste whose end never came is over
# So much text in one reading was not typed: a paste by a terminal that does not say so.
BURST_BYTES, BURST_LETTERS, BURST_S = 256, 8, 0.2
STRING_BYTES = 4096

_CSI = re.compile(rb"\x1b\[(?:\[[A-E]|M[\s\S]{3}|(?!\[|M)[0-?]{0,64}[ -/]{0,8}[@-~])")
_CSI_BEGUN = re.compile(rb"\x1b\[(?:\[|M[\s\S]{0,2}|[0-?]{0,64}[ -/]{0,8})\Z")
_SS3 = re.compile(rb"\x1bO[0-9;]{0,8}[@-~]")
_SS3_BEGUN = re.compile(rb"\x1bO[0-9;]{0,8}\Z")
_STRING = re.compile(rb"\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)")
_STRING_BEGUN = re.compile(rb"\x1b[]PX^_][^\x07\x1b]*\x1b?\Z")
_BROKEN_OFF = re.compile(rb"\x1b(?:[\[O][0-?]{0,64}[ -/]{0,8}|[]PX^_][^\x07\x1b]*)")
_TEXT = re.compile(rb"[^\x1b]+")
_ONLY_TEXT = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+")

Typed = Key | Clicked | Pasted


class Keyboard:
    """feed: what came in; flush: nothing more came, so what is begun is all there is.

    known: sequences of this terminal (terminfo) and the names of their keys. encoding: of what is
    typed.
    """

    def __init__(self, known: Mapping[bytes, str] | None = None, encoding: str = "utf-8") -> None:
        self._known = dict(known or {})
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="ignore")
        self._encoding = encoding
        self._left = b""  # the beginning of a sequence
        self._paste: bytearray | None = None  # one that is under way
        self._cut = False
        self._heard_at = 0.0
        self._burst_until = 0.0
        self._pressed = (0.0, -1, -1)  # when and where the mouse was pressed last

    @property
    def begun(self) -> bool:
        """Whether more has to come before it is known what was pressed (Esc, or a sequence)."""
        return bool(self._left) and self._paste is None

    def feed(self, got: bytes, now: float) -> list[Typed]:
        """What was pressed. now: of a monotonic clock, in seconds."""
        found: list[Typed] = []
        if self._paste is not None and now - self._heard_at > PASTE_SILENCE_S:
            found.append(self._pasted())
        self._heard_at = now
        if self._burst(got, now):
            return [*found, Pasted(self._text(got))]
        self._left += got
        while self._left:
            if self._paste is not None:
                if not self._read_paste(found):
                    break
                continue
            size = self._one(found, now)
            if not size:
                break
            self._left = self._left[size:]
        return found

    def flush(self) -> list[Typed]:
        """What was begun and not ended, as the keys that it is when nothing follows."""
        found: list[Typed] = []
        left, self._left = self._left, b""
        if left[:1] == b"\x1b":
            found.append(Key("esc"))
            if len(left) == 2:  # Esc, and then a key that a sequence could begin with
                found += self._keys(left[1:])
            elif len(left) > 2:
                found.clear()  # a sequence that was cut off means nothing
        return found

    # --- text

    def _burst(self, got: bytes, now: float) -> bool:
        """Whether it is a paste that does not say so: more text at once than fingers type."""
        if self._left or self._paste is not None or not _ONLY_TEXT.fullmatch(got):
            return False
        many = len(got) >= BURST_BYTES and len(set(got)) > BURST_LETTERS  # no key held down
        if not many and now >= self._burst_until:
            return False
        self._burst_until = now + BURST_S
        return True

    def _text(self, got: bytes) -> str:
        return self._decoder.decode(got).replace("\r\n", "\n").replace("\r", "\n")

    def _keys(self, got: bytes) -> list[Typed]:
        return [Key(name) for char in self._decoder.decode(got) if (name := key_name(char))]

    # --- pastes

    def _read_paste(self, found: list[Typed]) -> bool:
        """Take what has come of a paste; True at its end."""
        assert self._paste is not None
        end = self._left.find(PASTE_END)
        kept = end if end >= 0 else len(self._left) - _begun(self._left, PASTE_END)
        room = PASTE_BYTES - len(self._paste)
        self._cut = self._cut or kept > room
        self._paste += self._left[: min(kept, room)]
        self._left = self._left[kept + (len(PASTE_END) if end >= 0 else 0) :]
        if end >= 0:
            found.append(self._pasted())
        return end >= 0

    def _pasted(self) -> Pasted:
        text = bytes(self._paste or b"").decode(self._encoding, "ignore")
        cut, self._paste, self._cut = self._cut, None, False
        return Pasted(text.replace("\r\n", "\n").replace("\r", "\n"), cut)

    # --- sequences

    def _one(self, found: list[Typed], now: float) -> int:
        """Read what comes first into `found`; how many bytes it was, 0 when more has to come."""
        left = self._left
        if text := _TEXT.match(left):
            found += self._keys(text.group())
            return text.end()
        for sequence, name in self._known.items():
            if left.startswith(sequence):
                found.append(Key(name))
                return len(sequence)
        for whole, begun in ((_CSI, _CSI_BEGUN), (_SS3, _SS3_BEGUN), (_STRING, _STRING_BEGUN)):
            if match := whole.match(left):
                self._sequence(match.group(), found, now)
                return match.end()
            if begun.match(left):
                if len(left) > STRING_BYTES:
                    self._left = left[:2] + left[-1:]  # it is dropped, however long it is
                return 0
        return self._escape(left, found)

    def _escape(self, left: bytes, found: list[Typed]) -> int:
        """ESC that begins no sequence: the key, or Alt and another key."""
        if len(left) == 1:
            return 0
        if left[1:2] == b"\x1b":
            found.append(Key("esc"))
            return 1
        if left[1] in b"[O]PX^_":
            broken = _BROKEN_OFF.match(left)
            if broken and broken.end() > 2:
                return broken.end()  # by what follows: the keys after it count, it does not
            found += [Key("esc"), *self._keys(left[1:2])]
            return 2
        size = _char_size(left[1])
        if len(left) <= size:
            return 0
        found += [Key(f"alt-{key.name}") for key in self._keys(left[1 : 1 + size])
                  if isinstance(key, Key)]  # fmt: skip
        return 1 + size

    def _sequence(self, sequence: bytes, found: list[Typed], now: float) -> None:
        if sequence == b"\x1b[200~":
            self._paste = bytearray()
        elif sequence[:3] in (b"\x1b[<", b"\x1b[M"):
            found += self._mouse(sequence, now)
        elif name := sequence_name(sequence):
            found.append(Key(name))

    def _mouse(self, sequence: bytes, now: float) -> list[Typed]:
        if sequence[2:3] == b"M":
            button, x, y = (byte - 32 for byte in sequence[3:6])
        else:
            numbers = sequence[3:-1].split(b";")
            if len(numbers) != 3 or not all(n.isdigit() and len(n) < 6 for n in numbers):
                return []
            button, x, y = map(int, numbers)
            if sequence[-1:] != b"M":
                return []  # released
        button &= ~MOUSE_MODIFIERS
        if button in WHEEL:
            return [Key(WHEEL[button])]
        if button != 0 or x < 1 or y < 1:
            return []
        before = self._pressed
        self._pressed = (now, y - 1, x - 1)
        double = now - before[0] < DOUBLE_CLICK_S and before[1:] == (y - 1, x - 1)
        return [Clicked(y - 1, x - 1, double)]


def _begun(text: bytes, end: bytes) -> int:
    """How many bytes at the end of `text` may be the beginning of `end`."""
    return next((n for n in range(len(end) - 1, 0, -1) if text.endswith(end[:n])), 0)


def _char_size(first: int) -> int:
    """Bytes of a UTF-8 character, by its first."""
    return 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


def key_name(char: str) -> str:
    """The name of a character in the key table; "" for one that is no key."""
    if char in CONTROLS:
        return CONTROLS[char]
    if 1 <= ord(char) <= 26:
        return f"ctrl-{chr(ord(char) + 96)}"
    return char if char.isprintable() or char == JOINER else ""


def sequence_name(sequence: bytes) -> str:
    """The name of a key that sends a sequence (ESC [ … or ESC O …); "" for one nobody knows."""
    text = sequence.decode("latin-1")
    if text.startswith("\x1b[["):
        return f"f{ord(text[3]) - 64}"  # the Linux console
    body, final = text[2:-1], text[-1]
    if text[1] not in "[O" or not re.fullmatch(r"\d{0,3}(?:;\d{1,2})?", body):
        return ""
    first, _, second = body.partition(";")
    if final == "~":
        name = NUMBERS.get(int(first or 0), "")
    elif text[1] == "O" and not body and final in KEYPAD:
        name = KEYPAD[final]
    else:
        name = LETTERS.get(final, "") if first in ("", "1") else ""
    held = int(second) - 1 if second else 0
    if not name or not 0 <= held < 8:
        return ""
    return "-".join([word for bit, word in MODIFIERS if held & bit] + [name])
