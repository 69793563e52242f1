"""Text as somebody writes it who wants to steer a terminal; and what of it must not get there."""

import random
import re
import unicodedata

SEQUENCES = (
    "\x1b[2J", "\x1b[31m", "\x1b[?1049l", "\x1b[6n", "\x9b2J", "\x9b31m", "\x1b]0;pwned\x07",
    "\x1b]52;c;cHduZWQ=\x1b\\", "\x9d0;pwned\x9c", "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP$q\"p\x1b\\", "\x90+q\x9c", "\x1b_x\x1b\\", "\x1b^x\x1b\\", "\x1bX", "\x1bc", "\x1b(0",
    "\x1b[", "\x1b", "\x1b]", "\x9b", "\x1b[999999999999999999C", "\x1b]0;never ended", "\x1bM",
)  # fmt: skip
CONTROLS = tuple(map(chr, (*range(32), *range(0x7F, 0xA0))))
NOT_IN_NAMES = frozenset((*CONTROLS, "\u2028", "\u2029"))  # the server refuses them
BIDI = tuple(map(chr, (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))))
HIDDEN = (
    "\u200b", "\u200c", "\u200d", "\u2060", "\u2064", "\ufeff", "\u00ad", "\u180e", "\ufff9",
    "\u2028", "\u2029", "\U000e0001", "\U000e0041", "\U000e007f", "\U000e0100", "\ufe0f", "\ue000",
    "\U0010ffff", "\ufdd0", "\uffff", "\u3164", "\u115f", "\u2800", "\u034f", "\u206a", "\u00a0",
)  # fmt: skip
DRAWN = (
    "a", "Z", " ", "  ", "é", "e\u0301", "a" + "\u0300" * 9, "\u0301", "日本", "한", "ｆ", "ｶﾞ",
    "👩\u200d👩\u200d👧", "👨🏽\u200d💻", "❤\ufe0f", "🇩🇪", "1\ufe0f\u20e3",
    "🏴\U000e0067\U000e007f",
    "☰", "㉈", "ไทย", "שלום", "مرحبا", "\u0e33", "\u1100\u1161", "\U0001f9ff", "\ufdfd", "$(id)",
    "[bold]", "%s", "{0}", "\\x1b", "\\u202e", "'", '"', "`", "<b>", "| ", "#", "-", "--json",
)  # fmt: skip
PIECES = (SEQUENCES, CONTROLS, BIDI, HIDDEN, DRAWN, DRAWN)

# What a terminal acts on, hides or re-orders. JSON has escapes for all of it.
FOREIGN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# What we ourselves send for bold and colours.
COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")


def string(choose: random.Random, longest: int = 12) -> str:
    """A string of up to so many pieces. Now and then it is empty, or very long."""
    chance = choose.random()
    if chance < 0.02:
        return ""
    pieces = choose.choices(choose.choice(PIECES), k=choose.randint(1, 3))
    pieces += [choose.choice(choose.choice(PIECES)) for _ in range(choose.randint(0, longest))]
    choose.shuffle(pieces)
    text = "".join(pieces)
    return text * choose.randint(20, 200) if chance < 0.025 else text


def raw(choose: random.Random) -> bytes:
    """Bytes of such a string, mostly with some that are no UTF-8."""
    found = bytearray(string(choose).encode("utf-8", "surrogatepass"))
    for _ in range(choose.randint(0, 4)):
        found.insert(choose.randint(0, len(found)), choose.choice(b"\x80\x9b\xc0\xed\xf5\xff\x1b"))
    return bytes(found)


def foreign(text: str, colours: bool = False) -> str:
    """The first thing in printed text that must not reach a terminal, where it is; "" for none.

    colours: those that we send ourselves may be in it, and the carriage returns of a terminal.
    """
    found = COLOUR.sub("", text).replace("\r\n", "\n") if colours else text
    match = FOREIGN.search(found)
    if match is None:
        return ""
    at = match.start()
    name = unicodedata.name(match[0], f"U+{ord(match[0]):04X}")
    return f"{name} in {found[max(0, at - 60) : at + 60]!a}"
