"""The table `[board]` of the configuration file: read, and checked as a whole.

Imported only where there is a file. Every mistake is found at once, and each sentence names the
line as it is written, what is wrong with it and what would be right.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cortex_cli.board import key_names, keys
from cortex_cli.board.keymap import Keymap
from cortex_cli.board.settings import BadSettings, Changes, Settings
from cortex_cli.board.sorting import SORTS

SETTINGS = {
    "bell": "Ring when an agent starts to need a person.",
    "notify": "Have the terminal notify then (OSC 9).",
    "mouse": "Take the mouse; M turns it on and off.",
    "ascii": "No characters but ASCII, as --ascii.",
    "sort": f"How the cards of a column are sorted: {', '.join(SORTS)}.",
    "cache": "Keep the board for the first frame of the next start.",
}
FLAGS = ("bell", "notify", "mouse", "ascii", "cache")
TYPED = ("prompt", "palette")  # scopes in which printable keys are text
LEAVES = ("help", "quit")  # beside every action on Esc: without them nobody finds the way out


def read(path: Path) -> Settings:
    """Return what the file sets. Raises BadSettings, which names every mistake."""
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(str(path), (f"this is not TOML: {error}.",)) from None
    except UnicodeDecodeError as error:
        raise BadSettings(str(path), (f"it is not UTF-8 (byte {error.start}).",)) from None
    except OSError as error:
        raise BadSettings(str(path), (f"it cannot be read: {error.strerror}.",)) from None
    settings, mistakes = check(whole.get("board", {}))
    if mistakes:
        raise BadSettings(str(path), tuple(mistakes))
    return settings


def check(table: object) -> tuple[Settings, list[str]]:
    """The settings of a table `[board]`, and what is wrong with it."""
    if not isinstance(table, dict):
        return Settings(), [f"board = {_toml(table)}: it takes a table, `[board]`."]
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    for name, value in table.items():
        wrong = "" if name == "keys" else _wrong_setting(name, value)
        if wrong:
            mistakes.append(f"[board] {name} = {_toml(value)}: {wrong}")
        elif name != "keys":
            values[name] = value
    changes, more = check_keys(table.get("keys", {}))
    return Settings(**values, keys=changes), mistakes + more


def _wrong_setting(name: str, value: object) -> str:
    if name in FLAGS:
        return "" if isinstance(value, bool) else "it takes true or false."
    if name == "sort":
        fits = isinstance(value, str) and value in SORTS
        return "" if fits else f"it takes one of {', '.join(map(_toml, SORTS))}."
    known = (*SETTINGS, "keys")
    return f"there is no such setting{_nearest(name, known)} There are {', '.join(known)}."


# --- keys


def check_keys(table: object) -> tuple[Changes, list[str]]:
    """The changes that a table `[board.keys]` makes, and what is wrong with it."""
    if not isinstance(table, dict):
        return (), [f"[board] keys = {_toml(table)}: it takes a table, `[board.keys]`."]
    mistakes: list[str] = []
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    written: dict[tuple[str, str], str] = {}
    # What names its scope wins over what does not, wherever it stands.
    for scope, action, value in sorted(_flat(table), key=lambda line: bool(line[0])):
        name = f'"{scope}.{action}"' if scope else action
        line = f"[board.keys] {name} = {_toml(value)}"
        scopes, wrong = _scopes(scope, action)
        pressed, more = _pressed(action, scopes, value)
        mistakes += [f"{line}: {text}" for text in (*wrong, *more)]
        if not wrong:
            found |= {(where, action): pressed for where in scopes}
            written |= {(where, action): line for where in scopes}
    changes = tuple((scope, action, pressed) for (scope, action), pressed in found.items())
    return changes, [*mistakes, *_clashes(changes, written), *_without_way_out(found, written)]


def _flat(table: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """(scope or "", action, value) of each line: `"detail.close"` may be quoted or not."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from ((name, action, keyed) for action, keyed in value.items())
        else:
            scope, dot, action = name.rpartition(".")
            yield scope, action if dot else name, value


def _scopes(scope: str, action: str) -> tuple[tuple[str, ...], list[str]]:
    """The scopes that a line is about, and what is wrong with its left side."""
    if scope and scope not in keys.SCOPES:
        near = _nearest(scope, keys.SCOPES)
        return (), [f"there is no scope {_toml(scope)}{near} There are {', '.join(keys.SCOPES)}."]
    scopes = tuple(s for b in keys.TABLE if b.action == action for s in b.scopes)
    if not scopes:
        near = _nearest(action, [b.action for b in keys.TABLE])
        said = f"there is no action {_toml(action)}{near}"
        return (), [f"{said} `cortex config show` lists them."]
    if scope and scope not in scopes:
        return (), [f"{action} is an action of {', '.join(scopes)}, not of {scope}."]
    return ((scope,) if scope else scopes), []


def _pressed(
    action: str, scopes: tuple[str, ...], value: object
) -> tuple[tuple[str, ...], list[str]]:
    """The keys of a line, with the wheel where the table has it, and what is wrong with them."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        return (), ['it takes a key such as "y", several such as ["y", "ctrl-t"], or [] for none.']
    mistakes, pressed = [], []
    for text in given:
        try:
            key = key_names.parse(text)
        except key_names.NoSuchKey as error:
            mistakes.append(str(error))
            continue
        pressed.append(key)
        mistakes += [wrong for scope in scopes if (wrong := _taken(scope, action, key))]
    default = next((b.keys for b in keys.TABLE if b.action == action), ())
    wheel = [key for key in default if key.startswith("wheel-")]
    return tuple(dict.fromkeys([*pressed, *wheel])), list(dict.fromkeys(mistakes))


def _taken(scope: str, action: str, key: str) -> str:
    """Why a key cannot mean an action there."""
    why = key_names.RESERVED.get(key, "")
    if why and not (key == "ctrl-z" and action == "suspend"):
        return f"{keys.title(key)} never arrives: {why}."
    if scope in TYPED and len(key) == 1:
        return f"{keys.title(key)} is text where one types; it takes a key such as ctrl-t."
    if scope == "menu" and key.isdecimal():
        return f"{key} takes entry {key} of a menu."
    return ""


def _clashes(changes: Changes, written: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Keys that would mean two actions in one scope; said once, where it was written."""
    users: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (scope, action), pressed in Keymap(changes).keys.items():
        for key in pressed:
            users[scope, key].append(action)
    said: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for (scope, key), actions in users.items():
        mine = [action for action in actions if (scope, action) in written]
        if len(actions) > 1 and mine:
            other = next(action for action in actions if action != mine[-1])
            said[written[scope, mine[-1]], key, other].append(scope)
    for (line, key, other), scopes in said.items():
        yield (
            f"{line}: {keys.title(key)} is the key of {other} already (in {', '.join(scopes)}); "
            f"give {other} another one, or [] for none."
        )


def _without_way_out(
    found: Mapping[tuple[str, str], tuple[str, ...]], written: Mapping[tuple[str, str], str]
) -> Iterator[str]:
    needed = {b.action for b in keys.TABLE if "esc" in b.keys or b.action in LEAVES}
    lines = [
        written[place]
        for place, pressed in found.items()
        if place[1] in needed and not [key for key in pressed if not key.startswith("wheel-")]
    ]
    for line in dict.fromkeys(lines):
        yield f"{line}: without a key for it nobody finds the way; it takes at least one."


# --- sentences


def _nearest(name: str, known: object) -> str:
    from difflib import get_close_matches  # a file without mistakes does without

    near = get_close_matches(name, list(known), n=1)  # type: ignore[call-overload]
    return f"; did you mean {near[0]}?" if near else "."


def _toml(value: object) -> str:
    """A value as it is written in the file, shortened."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, str):
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    elif isinstance(value, list):
        text = f"[{', '.join(map(_toml, value))}]"
    elif isinstance(value, dict):
        text = "{…}"
    else:
        text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
