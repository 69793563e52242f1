"""Where Cortex keeps what it remembers between runs (XDG)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def state_dir(environ: Mapping[str, str]) -> Path:
    """Return the directory for drafts, logs and process ids; it may not be there yet."""
    base = environ.get("XDG_STATE_HOME")
    if base:
        return Path(base) / "cortex"
    import platformdirs

    return Path(platformdirs.user_state_dir("cortex"))


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the directory for what can be found out again; it may not be there yet."""
    base = environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "cortex"
    import platformdirs

    return Path(platformdirs.user_cache_dir("cortex"))
