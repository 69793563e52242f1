"""Text from tickets and agents, made safe and measured for a terminal.

Everything that is drawn or printed passes `clean` (one line) or `wrap` (several). What is left
after it has a width on which libc, wcwidth and terminals agree.
"""

import re
import unicodedata
from functools import lru_cache

REPLACEMENT = "\ufffd"
MAX_MARKS = 2  # combining marks on one base: more is an attack on the lines above and below

_ZWJ = "\u200d"
_KEYCAP = 0x20E3
_SPACES = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u2028\u2029")

# Whole control sequences are dropped; whatever else is left of them shows as a replacement.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{0,8}[0-~]"
)

# Assigned characters for which libc and wcwidth give different widths (found by comparing all).
_DISPUTED = (
    (0x2630, 0x2637),
    (0x268A, 0x268F),
    (0x302E, 0x302F),
    (0x3164, 0x3164),
    (0x3248, 0x324F),
    (0x4DC0, 0x4DFF),
    (0xFFA0, 0xFFA0),
    (0x1160, 0x11FF),
    (0xD7B0, 0xD7FF),
    (0x1D300, 0x1D376),
)

# Glyphs of our own, and what stands for them where only ASCII can be shown (same width).
_GLYPHS = {
    "●": "*", "◌": ".", "○": "o", "◆": "!", "◇": "?", "✗": "x", "✓": "+", "▸": ">", "›": ">",
    "‹": "<", "…": "~", "·": "-", "│": "|", "─": "-", "╭": "+", "╮": "+", "╰": "+", "╯": "+",
    "└": "`", "↑": "^", "⇑": "^", "→": "-", "↓": "v", "←": "<", "█": "#", "▌": "|", "—": "-",
    "–": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "◉": "@", REPLACEMENT: "?",
    "☐": "_", "☑": "x", "┼": "+",
}  # fmt: skip
_ASCII = str.maketrans(_GLYPHS)

# What needs no second look: it is clean as it is, and each of its characters has one cell. Most
# texts are only this, and looking at each character takes a hundred times as long.
_PLAIN = re.compile(f"[ -~\u00a1-\u00ac\u00ae-\u024f{''.join(_GLYPHS)}]*")

_LINE_BREAK = re.compile(r"\r\n|[\n\r\v\f\x85\u2028\u2029]")
_TOKEN = re.compile(r" +|[^ ]+")


@lru_cache(maxsize=4096)
def _shown(char: str) -> str:
    """What stands for one character: itself, a replacement, or nothing."""
    code = ord(char)
    if char in _SPACES:
        return " "
    if 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or code == _KEYCAP:
        return ""  # variation selectors and keycaps: the base alone has a width all agree on
    if 0x1F3FB <= code <= 0x1F3FF:
        return ""  # skin tones
    if 0x1F1E6 <= code <= 0x1F1FF:
        return chr(code - 0x1F1E6 + ord("A"))  # half of a flag: its letter
    category = unicodedata.category(char)
    if category == "Cf":
        return ""  # bidi overrides, zero-width spaces and joiners, tags, soft hyphens
    if category in ("Cc", "Cs", "Cn", "Co", "Mc") or any(
        low <= code <= high for low, high in _DISPUTED
    ):
        return REPLACEMENT
    if category == "Zs":
        return " " * max(1, cell_width(char))
    if cell_width(char) == 0 and category not in ("Mn", "Me"):
        return REPLACEMENT
    return char


def clean(text: str) -> str:
    """One line that cannot steer a terminal: breaks become spaces, the invisible goes."""
    if _PLAIN.fullmatch(text):
        return text
    out: list[str] = []
    marks = 0
    joined = False
    for char in unicodedata.normalize("NFC", _SEQUENCE.sub("", text)):
        if char == _ZWJ:
            joined = bool(out) and unicodedata.category(out[-1][-1]) in ("So", "Sm", "Po")
            continue
        shown = _shown(char)
        if not shown:
            continue
        if joined and unicodedata.category(char) in ("So", "Sm"):
            joined = False  # the second half of a joined emoji: the base alone is drawn
            continue
        joined = False
        if len(shown) == 1 and cell_width(shown) == 0:
            marks += 1
            if not out or out[-1] == " " or marks > MAX_MARKS:
                continue
        else:
            marks = 0
        out.append(shown)
    return "".join(out)


def clean_block(text: str) -> str:
    """Several lines, each clean: for printing, where line breaks may stay."""
    return "\n".join(clean(line.expandtabs(4)) for line in _LINE_BREAK.split(text))


@lru_cache(maxsize=4096)
def cell_width(char: str) -> int:
    """Cells of one clean character: 0, 1 or 2."""
    if char in _GLYPHS or char.isascii():
        return 1
    from wcwidth import wcwidth  # costs 40 ms: the first frame holds only ASCII and our own glyphs

    return max(0, wcwidth(char))


def is_narrow(text: str) -> bool:
    """Whether clean text is known to have one cell for each of its characters."""
    return text.isascii() or _PLAIN.fullmatch(text) is not None


def width(text: str) -> int:
    """Cells of clean text."""
    return len(text) if is_narrow(text) else sum(map(cell_width, text))


def take(text: str, cells: int) -> str:
    """The longest beginning of clean text that fits into `cells`."""
    if is_narrow(text):
        return text[: max(0, cells)]
    used = 0
    for index, char in enumerate(text):
        used += cell_width(char)
        if used > cells:
            return text[:index]
    return text


def clip(text: str, cells: int, tail: str = "…") -> str:
    """Clean text cut to `cells`, with `tail` where something is missing."""
    if width(text) <= cells:
        return text
    room = cells - width(tail)
    if room < 0:
        return take(text, cells)
    return take(text, room).rstrip() + tail


def pad(text: str, cells: int) -> str:
    """Clean text, cut or filled to exactly `cells`."""
    cut = clip(text, cells)
    return cut + " " * (cells - width(cut))


def wrap(text: str, cells: int) -> list[str]:
    """Any text as clean lines of at most `cells` (at least 1 line; a wide one needs 2 cells)."""
    lines: list[str] = []
    for line in _LINE_BREAK.split(text):
        lines.extend(_wrap_line(clean(line.expandtabs(4)).rstrip(), max(1, cells)))
    return lines


def _wrap_line(line: str, cells: int) -> list[str]:
    if width(line) <= cells:
        return [line]
    if is_narrow(line):
        return _wrap_narrow(line, cells)
    lines: list[str] = []
    current, used = "", 0
    for word in _TOKEN.findall(line):
        token, size = word, width(word)
        if used + size > cells and token[0] == " ":
            lines.append(current)
            current, used = "", 0
            continue
        if used + size > cells and current.strip():
            lines.append(current.rstrip())
            current, used = "", 0
        while used + size > cells:
            piece = take(token, cells - used)
            skipped = 0 if piece or used else 1  # a wide character on one cell
            lines.append(current + (piece or REPLACEMENT * skipped))
            rest = token[len(piece) + skipped :]
            current, used, token, size = "", 0, rest, width(rest)
        current, used = current + token, used + size
    if current.strip() or not lines:
        lines.append(current.rstrip())
    return lines


def _wrap_narrow(line: str, cells: int) -> list[str]:
    """The same by slices: what an agent says can be long, and is wrapped again with each word."""
    lines: list[str] = []
    at = 0
    while len(line) - at > cells:
        end = at + cells
        piece = line[at:end]
        if line[end] != " ":
            space = piece.rfind(" ")
            if not piece[: space + 1].strip(" "):
                lines.append(piece)  # one word, or the indentation before it
                at = end
                continue
            piece, end = piece[:space], at + space
        lines.append(piece.rstrip(" "))
        at = end
        while line[at : at + 1] == " ":
            at += 1
    rest = line[at:].rstrip(" ")
    return [*lines, rest] if rest or not lines else lines


@lru_cache(maxsize=4096)
def to_ascii(text: str) -> str:
    """Clean text in ASCII, of the same width: accents go, what has no likeness becomes `?`."""
    if text.isascii():
        return text
    out: list[str] = []
    for char in text.translate(_ASCII):
        cells = cell_width(char)
        plain = (
            char
            if char.isascii()
            else unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
        )
        out.append(plain if len(plain) == cells and plain.isprintable() else "?" * cells)
    return "".join(out)


AGE_UNITS = ((60, 1), (3600, 60), (86_400, 3600))  # below so many seconds it counts in these


def age(seconds: float) -> str:
    """How long ago, in one unit: "now", "12 s", "2 min", "3 h", "5 d"."""
    whole = int(max(0.0, seconds))
    if whole < 1:
        return "now"
    for (limit, unit), name in zip(AGE_UNITS, ("s", "min", "h"), strict=True):
        if whole < limit:
            return f"{whole // unit} {name}"
    return f"{whole // 86_400} d"
