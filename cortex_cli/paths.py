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


def config_file(environ: Mapping[str, str]) -> Path:
    """Return the configuration file, which the server reads as well; it may not be there."""
    named = environ.get("CORTEX_CONFIG")
    if named:
        return Path(named)
    base = environ.get("XDG_CONFIG_HOME")
    if base:
        return Path(base) / "cortex" / "config.toml"
    import platformdirs

    return Path(platformdirs.user_config_dir("cortex")) / "config.toml"


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Return the directory for what can be found out again; it may not be there yet."""
    base = environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "cortex"
    import platformdirs

    return Path(platformdirs.user_cache_dir("cortex"))
