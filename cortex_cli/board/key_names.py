"""What people write for a key in the configuration file, and which keys no terminal delivers."""

import re

from cortex_cli.board.keys import KEY_TITLES

ALIASES = {
    "space": " ", "escape": "esc", "return": "enter", "del": "delete", "ins": "insert",
    "pageup": "pgup", "pagedown": "pgdn", "page-up": "pgup", "page-down": "pgdn",
}  # fmt: skip
# What a terminal does with them itself, or sends for another key.
RESERVED = {
    "ctrl-c": "the terminal interrupts with it",
    "ctrl-z": "the terminal suspends with it",
    "ctrl-h": "it is what Backspace sends",
    "ctrl-i": "it is what Tab sends",
    "ctrl-j": "it is what Enter sends",
    "ctrl-m": "it is what Enter sends",
}
EXAMPLES = "a character, space, enter, esc, tab, shift-tab, up, pgdn, f1 to f12, ctrl-a, alt-a"
_HELD = re.compile(r"((?:(?:shift|alt|ctrl)[-+])*)(.+)", re.IGNORECASE | re.DOTALL)
_SEQUENCES = "[O]PX^_"  # after Esc they begin a sequence: with Alt they cannot be told from one
_ORDER = ("shift", "alt", "ctrl")
# Those that a terminal sends together with Shift, Alt and Ctrl.
_MODIFIABLE = {
    "left", "right", "up", "down", "home", "end", "pgup", "pgdn", "insert", "delete",
    *(f"f{number}" for number in range(1, 13)),
}  # fmt: skip


class NoSuchKey(ValueError):
    """No key is called so. Its text says which there are."""


def parse(text: str) -> str:
    """The name of a key in the table, of what people write: `ctrl-x`, `^x`, `space`, `F5`, `é`.

    Raises NoSuchKey.
    """
    if len(text) == 1 and text.isprintable():
        return text
    caret = re.fullmatch(r"\^([A-Za-z])", text.strip())
    found = _HELD.fullmatch(f"ctrl-{caret[1]}" if caret else text.strip())
    words = found[1].lower().replace("+", "-").split("-")[:-1] if found else []
    held = [word for word in _ORDER if word in words]
    name = _named(held, found[2]) if found else ""
    if name:
        return name
    from difflib import get_close_matches  # a file without mistakes does without

    known = [*ALIASES, *(key for key in KEY_TITLES if len(key) > 1 and "wheel" not in key)]
    near = get_close_matches(text.strip().lower(), [*known, "shift-tab"], n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise NoSuchKey(f'no key is called "{text}"; {hint}There are: {EXAMPLES}.')


def _named(held: list[str], key: str) -> str:
    """A key and what is held with it; "" where a terminal sends nothing of the kind."""
    if len(key) == 1 and key.isprintable():
        if "shift" in held or ("ctrl" in held and f"ctrl-{key.lower()}" not in KEY_TITLES):
            return ""
        if held == ["alt"] and key in _SEQUENCES:
            return ""
        return "-".join([*held, key.lower() if "ctrl" in held else key])
    name = key.lower().replace("_", "-")
    name = ALIASES.get(name, name)
    if name not in KEY_TITLES or name.startswith("wheel-"):
        return ""
    if held == ["shift"] and name == "tab":
        return "backtab"
    return "-".join([*held, name]) if not held or name in _MODIFIABLE else ""


def written(key: str) -> str:
    """A key of the table as `parse` reads it back."""
    return {" ": "space", "backtab": "shift-tab"}.get(key, key)
