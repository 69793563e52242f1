"""Settings: the environment, the file, the defaults, and what is refused in which words."""

from pathlib import Path

import pytest

from cortex_server.config import Config, ConfigError


@pytest.fixture
def load(tmp_path):
    """Load from this environment and this text of a configuration file."""

    def call(environ=(), file=None):
        base = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CONFIG_HOME": str(tmp_path / "conf")}
        if file is not None:
            path = tmp_path / "conf" / "cortex" / "config.toml"
            path.parent.mkdir(parents=True)
            path.write_text(file)
        return Config.load({**base, **dict(environ)})

    return call


def test_without_anything_there_are_the_defaults(load, tmp_path):
    config = load()
    assert config.data_dir == tmp_path / "data" / "cortex"
    assert config.database_url == f"sqlite:///{tmp_path}/data/cortex/cortex.db"
    assert config.database_path == tmp_path / "data" / "cortex" / "cortex.db"
    assert (config.host, config.port) == ("127.0.0.1", 4747)
    assert (config.heartbeat_s, config.stream_max_s, config.queue_size) == (15.0, 1800.0, 256)
    assert config.workers == 1


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("CORTEX_HOST", "::1", "host", "::1"),
        ("CORTEX_PORT", "0", "port", 0),
        ("CORTEX_HEARTBEAT_S", "0.5", "heartbeat_s", 0.5),
        ("CORTEX_STREAM_MAX_S", "60", "stream_max_s", 60.0),
        ("CORTEX_QUEUE_SIZE", "7", "queue_size", 7),
        ("CORTEX_MAX_STREAMS", "10", "max_streams", 10),
        ("CORTEX_ALLOW_REMOTE", "1", "allow_remote", True),
        ("CORTEX_ALLOW_REMOTE", "No", "allow_remote", False),
        ("CORTEX_METRICS_PUBLIC", "TRUE", "metrics_public", True),
        ("CORTEX_ALLOWED_HOSTS", " a:1, b ,,", "allowed_hosts", ("a:1", "b")),
        ("CORTEX_DATA_DIR", "/x/y", "data_dir", Path("/x/y")),
        ("CORTEX_LOG_LEVEL", "debug", "log_level", "debug"),
        ("WEB_CONCURRENCY", "1", "workers", 1),
        ("CORTEX_DATABASE_CONNECTIONS", "5", "database_connections", 5),
        ("CORTEX_HOST", "", "host", "127.0.0.1"),
    ],
)
def test_the_environment_sets(load, variable, text, name, value):
    assert getattr(load({variable: text}), name) == value


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(load):
    file = 'heartbeat_s = 5\nqueue_size = 9\nallow_remote = true\nallowed_hosts = ["a", "b:1"]\n'
    config = load({"CORTEX_QUEUE_SIZE": "3"}, file)
    assert (config.heartbeat_s, config.queue_size, config.allow_remote) == (5.0, 3, True)
    assert config.allowed_hosts == ("a", "b:1")


def test_another_file_may_be_named(load, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("port = 5000\n")
    assert load({"CORTEX_CONFIG": str(path)}, "port = 6000\n").port == 5000


def test_the_database_is_beside_the_data(load):
    config = load({"CORTEX_DATA_DIR": "/x/y"})
    assert config.database_url == "sqlite:////x/y/cortex.db"


def test_postgresql_has_no_file(load):
    config = load({"CORTEX_DATABASE_URL": "postgresql+psycopg://u:p@h/d"})
    assert config.database_path is None
    assert not config.is_sqlite


def test_postgresql_may_have_several_workers(load):
    environ = {"CORTEX_DATABASE_URL": "postgresql+psycopg://u:p@h/d", "WEB_CONCURRENCY": "4"}
    assert load(environ).workers == 4


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"CORTEX_PORT": "x"}, ["CORTEX_PORT", "'x'", "whole number"]),
        ({"CORTEX_PORT": "-1"}, ["CORTEX_PORT", "whole number"]),
        ({"CORTEX_PORT": "1_0"}, ["CORTEX_PORT"]),
        ({"CORTEX_PORT": "٣"}, ["CORTEX_PORT"]),
        ({"CORTEX_PORT": "70000"}, ["CORTEX_PORT", "65535"]),
        ({"CORTEX_HEARTBEAT_S": "0"}, ["CORTEX_HEARTBEAT_S", "above 0"]),
        ({"CORTEX_HEARTBEAT_S": "nan"}, ["CORTEX_HEARTBEAT_S"]),
        ({"CORTEX_STREAM_MAX_S": "inf"}, ["CORTEX_STREAM_MAX_S"]),
        ({"CORTEX_STREAM_MAX_S": "1e400"}, ["CORTEX_STREAM_MAX_S"]),
        ({"CORTEX_HEARTBEAT_S": "soon"}, ["CORTEX_HEARTBEAT_S", "number"]),
        ({"CORTEX_ALLOW_REMOTE": "maybe"}, ["CORTEX_ALLOW_REMOTE", "1 or 0"]),
        ({"CORTEX_LOG_LEVEL": "loud"}, ["CORTEX_LOG_LEVEL", "info"]),
        ({"WEB_CONCURRENCY": "4"}, ["WEB_CONCURRENCY", "SQLite"]),
        ({"WEB_CONCURRENCY": "0"}, ["WEB_CONCURRENCY"]),
        ({"CORTEX_DATABASE_CONNECTIONS": "2"}, ["CORTEX_DATABASE_CONNECTIONS", "3 or more"]),
        ({"CORTEX_DATABASE_URL": "mysql://root:hunter2@h/d"}, ["CORTEX_DATABASE_URL", "sqlite"]),
        ({"CORTEX_CONFIG": "/nowhere.toml"}, ["CORTEX_CONFIG", "/nowhere.toml"]),
    ],
)
def test_what_cannot_be_used_is_named(load, environ, words):
    with pytest.raises(ConfigError) as raised:
        load(environ)
    for word in words:
        assert word in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("heartbeats = 5\n", ["heartbeats"]),
        ("port = [", ["config.toml"]),
        ("port = 5.5\n", ["CORTEX_PORT"]),
        ("allow_remote = 7\n", ["CORTEX_ALLOW_REMOTE"]),
        ("[host]\nname = 1\n", ["host"]),
    ],
)
def test_a_file_that_cannot_be_used_says_so(load, file, words):
    with pytest.raises(ConfigError) as raised:
        load(file=file)
    for word in words:
        assert word in str(raised.value)


def test_a_file_that_is_not_text_says_so(load, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(b"port = 1\xff\n")
    with pytest.raises(ConfigError, match=r"bad\.toml"):
        load({"CORTEX_CONFIG": str(path)})
