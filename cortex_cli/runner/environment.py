"""The environment of an attempt's programs: by allow-list, with a private home.

What is not listed here, or named by the profile, does not reach the agent; nothing of Cortex's
own does, apart from the variables of this attempt.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cortex_cli.runner.errors import RunnerError

_ALLOWED = {
    *("LANG", "LANGUAGE", "TERM", "COLORTERM", "NO_COLOR", "TZ", "TMPDIR"),
    *("SHELL", "USER", "LOGNAME"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
}
_ALLOWED_PREFIX = "LC_"
# A profile cannot name these: they are the attempt's own.
_OWN = re.compile(r"HOME|PATH|(XDG|CORTEX)_.*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DIRECTORY = re.compile(r"[A-Za-z0-9-]{1,64}")
_SHORTEST_SECRET = 6  # shorter values are words that every text has
_XDG = {
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
    "XDG_CACHE_HOME": "cache",
    "XDG_RUNTIME_DIR": "run",
}
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Access:
    """What an agent needs to take part on the board: its own token, never the owner's."""

    url: str
    token: str = field(repr=False)
    project: str
    ticket: str
    session: str | None
    attempt: str
    ca_file: str | None = None


@dataclass(frozen=True)
class Environment:
    """values: complete. secrets: those of the values that must not be told (see redaction).

    refused: the names that the profile asked for and did not get.
    """

    values: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    home: Path
    refused: tuple[str, ...] = ()


def prepare(
    homes: Path,
    access: Access,
    *,
    agent: str,
    names: Iterable[str] = (),
    withheld: Iterable[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Environment:
    """Make the private home of an attempt below `homes`, and what its programs find around them.

    agent: the name that commits carry, unless the repository says otherwise. names: variables
    of `environ` that the profile asks for. withheld: values, such as the owner's token, that
    never pass, under whatever name.
    Raises RunnerError when the home cannot be private.
    """
    home = _make_home(homes, access.attempt)
    values = {
        name: value
        for name, value in environ.items()
        if name in _ALLOWED or name.startswith(_ALLOWED_PREFIX)
    }
    never = [*withheld, environ.get("CORTEX_TOKEN", "")]
    names = sorted(set(names))
    asked = {name: environ[name] for name in names if _may_pass(name, environ, never)}
    values.update(asked)
    values.update(_of_the_home(home, environ.get("PATH", _DEFAULT_PATH)))
    values.update(_of_the_board(access))
    values.setdefault("TERM", "dumb")
    values["GIT_TERMINAL_PROMPT"] = "0"
    _write_git_identity(home, agent)
    secrets = [access.token, *(v for v in asked.values() if len(v) >= _SHORTEST_SECRET)]
    refused = tuple(name for name in names if name in environ and name not in asked)
    return Environment(values, tuple(secrets), home, refused)


def discard(home: Path) -> None:
    """Remove a private home with everything in it; links are not followed, nor one in its place."""
    with contextlib.suppress(OSError):
        if home.is_symlink():
            home.unlink()
        for _, _, _, directory in os.fwalk(home):
            os.fchmod(directory, 0o700)  # caches are made read-only by some tools
    shutil.rmtree(home, ignore_errors=True)


def _may_pass(name: str, environ: Mapping[str, str], never: Iterable[str]) -> bool:
    if not _NAME.fullmatch(name) or _OWN.fullmatch(name) or name not in environ:
        return False
    return not any(secret in environ[name] for secret in never if secret)


def _of_the_home(home: Path, path: str) -> dict[str, str]:
    """Return HOME, XDG_* and PATH: with a directory in front that holds only `cortex`.

    Relative entries are left out: they would find programs in the worktree.
    """
    entries = [entry for entry in path.split(os.pathsep) if os.path.isabs(entry)]
    xdg = {name: str(home / below) for name, below in _XDG.items()}
    return {"HOME": str(home), "PATH": os.pathsep.join([str(home / "bin"), *entries]), **xdg}


def _of_the_board(access: Access) -> dict[str, str]:
    values = {
        "CORTEX_URL": access.url,
        "CORTEX_TOKEN": access.token,
        "CORTEX_PROJECT": access.project,
        "CORTEX_TICKET": access.ticket,
        "CORTEX_ATTEMPT": access.attempt,
    }
    more = {"CORTEX_SESSION": access.session, "CORTEX_CA_FILE": access.ca_file}
    return values | {name: value for name, value in more.items() if value is not None}


def _make_home(homes: Path, attempt: str) -> Path:
    if not _DIRECTORY.fullmatch(attempt):
        raise RunnerError(f"{attempt!r} is no id of an attempt.")
    home = homes / attempt
    for directory in (homes, home, home / "bin", *(home / below for below in _XDG.values())):
        _make_private(directory)
    launcher = home / "bin" / "cortex"
    # -P: the agent's current directory is no place to import from.
    command = f'exec {shlex.quote(sys.executable)} -P -m cortex_cli "$@"'
    _write(launcher, f"#!/bin/sh\n{command}\n", 0o700)
    return home


def _make_private(directory: Path) -> None:
    """Make a directory that is this user's only. Raises RunnerError when it is not."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(handle).st_uid != os.geteuid():
                raise RunnerError(f"{directory} belongs to somebody else.")
            if stat.S_IMODE(os.fstat(handle).st_mode) != 0o700:
                os.fchmod(handle, 0o700)
        finally:
            os.close(handle)
    except OSError as error:
        raise RunnerError(f"{directory} cannot be made private: {error.strerror}.") from None


def _write_git_identity(home: Path, agent: str) -> None:
    """Give commits an author. What the repository itself is configured with goes first."""
    name = re.sub(r'[\x00-\x1f\x7f"\\<>]', "", agent).strip() or "agent"
    mail = re.sub(r"[^a-z0-9._-]", "-", name.lower())
    # .invalid is reserved: no such address can ever be somebody's
    text = f'[user]\n\tname = "{name}"\n\temail = "{mail}@cortex.invalid"\n'
    _write(home / ".gitconfig", text, 0o600)


def _write(path: Path, text: str, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, mode), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
