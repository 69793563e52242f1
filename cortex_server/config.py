"""Settings: the environment first, then the configuration file, then the defaults here.

The file is TOML, `$XDG_CONFIG_HOME/cortex/config.toml` or what CORTEX_CONFIG names; its keys are
the variables' names in lower case without the prefix: `CORTEX_HEARTBEAT_S=5` is `heartbeat_s = 5`.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from cortex_server import outgoing

OTHER_DESCRIPTORS = 256  # beside connections and streams: database, log, listeners
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class ConfigError(Exception):
    """A setting that cannot be used; the message names it and says what it takes."""


@dataclass(frozen=True)
class Config:
    """Every setting of the server. Names end in their unit."""

    data_dir: Path
    database_url: str = ""
    host: str = "127.0.0.1"
    port: int = 4747
    allow_remote: bool = False
    allowed_hosts: tuple[str, ...] = ()
    heartbeat_s: float = 15.0
    lease_s: float = 30.0
    stream_max_s: float = 1800.0
    stall_s: float = 30.0
    retry_ms: int = 1500
    queue_size: int = 256
    queue_bytes: int = 1_048_576
    max_streams: int = 5000
    worker_connections: int = 1000
    workers: int = 1
    database_connections: int = 10
    body_max_bytes: int = 8_388_608
    body_timeout_s: float = 15.0
    graceful_s: int = 10
    metrics_public: bool = False
    log_level: str = "info"
    log_retention_days: float = 90.0
    log_retention_events: int = 10_000_000
    trigger_private_addresses: tuple[str, ...] = ()

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Config":
        """Read the settings. Raises ConfigError, which names the setting."""
        values = _from_file(environ)
        for field in fields(cls):
            text = environ.get(_variable(field.name))
            if text is not None and text != "":
                values[field.name] = _convert(field.name, text)
        values.setdefault("data_dir", _data_dir(environ))
        config = cls(**values)
        if not config.database_url:
            path = config.data_dir.resolve() / "cortex.db"
            config = replace(config, database_url=f"sqlite:///{path}")
        config.check()
        return config

    def check(self) -> None:
        """Refuse settings that cannot work together."""
        self.check_workers(self.workers, "WEB_CONCURRENCY is")
        if self.database_connections < 3:
            raise ConfigError(
                f"CORTEX_DATABASE_CONNECTIONS is {self.database_connections}: it takes 3 or more."
            )
        if self.port > 65_535:
            raise ConfigError(f"CORTEX_PORT is {self.port}: it takes a number up to 65535.")
        if self.log_level.lower() not in LOG_LEVELS:
            raise ConfigError(
                f"CORTEX_LOG_LEVEL is {self.log_level!r}: it takes {', '.join(LOG_LEVELS)}."
            )
        try:
            outgoing.networks(self.trigger_private_addresses)
        except ValueError as error:
            raise ConfigError(
                f"CORTEX_TRIGGER_PRIVATE_ADDRESSES: {error}; it takes networks like 10.0.0.0/8."
            ) from None
        if not self.is_sqlite and not self.database_url.startswith("postgresql+psycopg://"):
            raise ConfigError(
                "CORTEX_DATABASE_URL must begin with sqlite:/// or postgresql+psycopg://; "
                "its value is not shown because it may hold a password."
            )

    def check_workers(self, workers: int, said: str) -> None:
        """Refuse a number of workers that the database cannot have. said: where it comes from."""
        if workers < 1:
            raise ConfigError(f"{said} {workers}: it takes 1 or more.")
        if workers > 1 and self.is_sqlite:
            raise ConfigError(
                f"{said} {workers}, and SQLite can be served by one process only: set it to 1, or "
                "use PostgreSQL."
            )

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite:///")

    @property
    def database_path(self) -> Path | None:
        """The SQLite file, or None on PostgreSQL."""
        return Path(self.database_url.removeprefix("sqlite:///")) if self.is_sqlite else None


def _variable(name: str) -> str:
    return "WEB_CONCURRENCY" if name == "workers" else f"CORTEX_{name.upper()}"


def _data_dir(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_DATA_HOME")
    return Path(base) / "cortex" if base else Path(platformdirs.user_data_dir("cortex"))


def _from_file(environ: Mapping[str, str]) -> dict[str, Any]:
    base = environ.get("XDG_CONFIG_HOME")
    default = Path(base) / "cortex" if base else Path(platformdirs.user_config_dir("cortex"))
    path = Path(environ.get("CORTEX_CONFIG") or default / "config.toml")
    if not path.exists():
        if environ.get("CORTEX_CONFIG"):
            raise ConfigError(f"CORTEX_CONFIG names {path}, which does not exist.")
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if isinstance(table.get("board"), dict):
        del table["board"]  # the client's: what the board looks like, and its keys
    unknown = sorted(set(table) - {field.name for field in fields(Config)})
    if unknown:
        raise ConfigError(f"{path} has settings that do not exist: {', '.join(unknown)}.")
    tables = sorted(name for name, value in table.items() if isinstance(value, dict))
    if tables:
        raise ConfigError(f"{path}: {', '.join(tables)} takes a value, not a table.")
    return {name: _convert(name, _as_text(value)) for name, value in table.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _convert(name: str, text: str) -> Any:
    kind = str({field.name: field.type for field in fields(Config)}[name])
    converters: dict[str, Callable[[str], Any]] = {
        "int": _positive_int,
        "float": _positive_float,
        "bool": _bool,
        "tuple[str, ...]": lambda value: tuple(p.strip() for p in value.split(",") if p.strip()),
    }
    if "Path" in kind:
        return Path(text).expanduser()
    for type_name, converter in converters.items():
        if kind in (type_name, f"<class '{type_name}'>"):
            try:
                return converter(text)
            except ValueError as error:
                raise ConfigError(f"{_variable(name)} is {text!r}: {error}.") from None
    return text


def _positive_int(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError("it takes a whole number, 0 or more")
    return int(text)


def _positive_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("it takes a number") from None
    if not 0 < value < 1e12:
        raise ValueError("it takes a number above 0")
    return value


def _bool(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError("it takes 1 or 0")
