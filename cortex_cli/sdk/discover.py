"""Where the server is, and the token for it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from .errors import BadAddress, BadAuthorities, NoToken

DEFAULT_URL = "http://127.0.0.1:4747"
_LONGEST_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and the token for it.

    source: "CORTEX_TOKEN", or the path of the token file.
    warnings: sentences that the user should read.
    ca_file: whom to trust over https, for `CortexClient`; None: the authorities of certifi.
    """

    url: str
    token: str = field(repr=False)
    source: str
    warnings: tuple[str, ...] = ()
    ca_file: str | None = None


def discover(environ: Mapping[str, str] = os.environ) -> Endpoint:
    """Find the server and the token.

    With CORTEX_TICKET set the token file is never read: an agent must not act as its owner.
    Raises NoToken or BadAddress.
    """
    url = checked_url(server_url(environ))
    warnings, trusted = _plaintext_warning(url), ca_file(environ)
    token = environ.get("CORTEX_TOKEN", "").strip()
    if token:
        token = checked_token(token, "CORTEX_TOKEN")
        return Endpoint(url, token, "CORTEX_TOKEN", warnings, trusted)
    if environ.get("CORTEX_TICKET"):
        raise NoToken(
            "CORTEX_TICKET is set and CORTEX_TOKEN is not: an agent uses the token of its "
            "attempt, never the token file."
        )
    path = token_path(environ)
    token, more = _read(path)
    return Endpoint(url, checked_token(token, str(path)), str(path), warnings + more, trusted)


def server_url(environ: Mapping[str, str] = os.environ) -> str:
    """Return where the server is: CORTEX_URL, else this machine, at CORTEX_PORT when it is set."""
    port = environ.get("CORTEX_PORT", "")
    default = f"http://127.0.0.1:{port}" if port.isdecimal() and int(port) else DEFAULT_URL
    return environ.get("CORTEX_URL") or default


def ca_file(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the path that CORTEX_CA_FILE names, absolute: an agent works in another directory."""
    named = environ.get("CORTEX_CA_FILE")
    return os.path.abspath(named) if named else None


def token_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where a server with these settings puts the owner's token."""
    if environ.get("CORTEX_DATA_DIR"):
        return Path(environ["CORTEX_DATA_DIR"]) / "token"
    base = environ.get("XDG_DATA_HOME")
    if base:
        return Path(base) / "cortex" / "token"
    import platformdirs

    return Path(platformdirs.user_data_dir("cortex")) / "token"


def checked_url(url: str) -> str:
    """Return the URL without a trailing slash.

    Raises BadAddress for what is not plain http or https.
    """
    what = "The server's address (CORTEX_URL)"
    try:
        parts = urlsplit(url.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        raise BadAddress(f"{what} is not a URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise BadAddress(f"{what} must look like {DEFAULT_URL}.")
    if parts.username is not None or parts.password is not None:
        raise BadAddress(f"{what} must not hold a user name or a password.")
    if parts.query or parts.fragment or any(c <= " " or c == "\x7f" for c in url.strip()):
        raise BadAddress(f"{what} must end after the host, the port and a path.")
    return url.strip().rstrip("/")


def checked_token(token: str, source: str) -> str:
    """Return the token; raise NoToken, without showing it, when it cannot be one."""
    if not token:
        raise NoToken(f"{source} holds no token.")
    if len(token) > _LONGEST_TOKEN or not all("!" <= c <= "~" for c in token):
        raise NoToken(f"{source} does not hold a token: it has characters that none has.")
    return token


def check_ca_file(path: str) -> None:
    """Raise BadAuthorities unless it is a file of PEM certificates, or a directory of them."""
    import ssl  # when needed: it takes its time

    what = f"The file of authorities (CORTEX_CA_FILE) {path}"
    if os.path.isdir(path):
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise BadAuthorities(
            f"{what} holds no certificate in PEM form, or a damaged one. A certificate begins with "
            "-----BEGIN CERTIFICATE-----; name the file of the authority's."
        ) from None
    except OSError as error:
        raise BadAuthorities(
            f"{what} cannot be read: {(error.strerror or str(error)).lower()}. Name a file of PEM "
            "certificates, or unset it."
        ) from None


def url_path(*segments: str) -> str:
    """Join the segments to a path, each quoted, so that a key can never name another route.

    Raises ValueError for an empty segment, `.` and `..`.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError(f"{segment!r} cannot be part of a path")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def _read(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of the token file, and a warning when others can read it.

    Raises NoToken when it is missing, or when somebody else may have written it.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            content = file.read(_LONGEST_TOKEN + 2)
    except FileNotFoundError:
        raise NoToken(
            f"There is no token: CORTEX_TOKEN is not set and {path} does not exist. "
            "Start the server once with `cortex serve`, which makes it."
        ) from None
    except OSError as error:
        raise NoToken(f"{path} cannot be read: {error.strerror}.") from None
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid not in (os.geteuid(), 0) or mode & 0o022:
        raise NoToken(f"{path} can be written by other users, so it is not used: chmod 600 it.")
    try:
        token = content.decode("ascii").strip()
    except UnicodeDecodeError:
        raise NoToken(f"{path} does not hold a token.") from None
    if mode & 0o044:
        return token, (f"{path} can be read by other users: chmod 600 it, and renew the token.",)
    return token, ()


def _plaintext_warning(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in ("localhost", "::1") or host.startswith("127."):
        return ()
    return (f"{url} is not https: the token travels readable for everyone on the way.",)
