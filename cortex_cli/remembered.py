"""Which project a directory was last found to belong to.

The live board draws before it has reached the server; this tells it what to draw. Only a hint,
in the cache directory: whatever cannot be read or written is as good as nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cortex_cli.paths import cache_dir

_MOST = 200


def recall(url: str, directory: Path, environ: Mapping[str, str]) -> str | None:
    """Return the key of the project that holds `directory`, as far as is remembered."""
    known = _read(environ)
    for place in (directory, *directory.parents):
        found = known.get(_name(url, place))
        if found is not None:
            return found
    return None


def note(url: str, directory: Path, key: str | None, environ: Mapping[str, str]) -> None:
    """Remember the project of a directory, or forget it where `key` is None."""
    known = _read(environ)
    name = _name(url, directory)
    if known.get(name) == key:
        return
    known.pop(name, None)
    if key is not None:
        known[name] = key
    newest = dict(list(known.items())[-_MOST:])
    path = _path(environ)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(newest), "utf-8")
        draft.replace(path)
    except OSError:
        pass


def _read(environ: Mapping[str, str]) -> dict[str, str]:
    try:
        found = json.loads(_path(environ).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: key for name, key in found.items() if isinstance(key, str)}


def _path(environ: Mapping[str, str]) -> Path:
    return cache_dir(environ) / "projects.json"


def _name(url: str, directory: Path) -> str:
    return f"{url} {directory}"
