"""Databases that are fresh, current, older, newer, foreign and damaged."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config as AlembicConfig
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from cortex_server.config import Config
from cortex_server.db import migrate
from cortex_server.db.engine import WRITES, make_engine
from cortex_server.db.migrate import OURS, DatabaseRefused, Migrations
from cortex_server.db.schema import metadata
from tests.support.databases import config_for, empty_engine, empty_postgres

NOW = datetime(2026, 1, 26, 15, 53, 1, tzinfo=UTC)


@pytest.fixture
def config(tmp_path):
    return Config.load({"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)})


@pytest.fixture
def engine(config):
    made = make_engine(config.database_url)
    yield made
    made.dispose()


@pytest.fixture
def ready(config, engine):
    """A database of the newest revision, with nobody connected to it; its path."""
    migrate.prepare(config, engine)
    engine.dispose()
    return config.database_path


@pytest.fixture
def later(tmp_path):
    """Our migrations and one more; call it with what that one does."""

    def make(body):
        scripts = tmp_path / "later"
        shutil.copytree(OURS.scripts, scripts, ignore=shutil.ignore_patterns("__pycache__"))
        lines = ["from alembic import op", "revision = '9999'", f"down_revision = {OURS.head!r}"]
        lines += ["def upgrade():", *(f"    {line}" for line in body)]
        (scripts / "versions" / "9999_later.py").write_text("\n".join(lines))
        return Migrations(scripts, (*OURS.revisions, "9999"))

    return make


def run(path, statement):
    with closing(sqlite3.connect(path)) as conn, conn:
        return conn.execute(statement).fetchall()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def schema_of(path):
    return dict(run(path, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def test_the_revisions_are_those_of_the_scripts():
    settings = AlembicConfig()
    settings.set_main_option("script_location", str(OURS.scripts))
    scripts = [step.revision for step in ScriptDirectory.from_config(settings).walk_revisions()]
    assert tuple(reversed(scripts)) == OURS.revisions


def test_the_migrations_make_the_declared_schema_on_sqlite(ready, tmp_path):
    declared = make_engine(f"sqlite:///{tmp_path}/declared.db")
    metadata.create_all(declared)
    declared.dispose()
    ours, theirs = schema_of(ready), schema_of(tmp_path / "declared.db")
    del ours["alembic_version"]
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert pieces(ours[name]) == pieces(theirs[name]), name


def pieces(statement):
    """The lines of a definition, whatever their order."""
    return sorted(line.strip(" ,\t").replace('"', "") for line in statement.split("\n"))


def not_of_an_extension(_object, name, *_):
    """The index of trigrams is only there where PostgreSQL has pg_trgm."""
    return name != "ix_tickets_words"


@pytest.mark.postgres
def test_the_migrations_make_the_declared_schema_on_postgres():
    with empty_engine("postgres").connect() as conn:
        context = MigrationContext.configure(
            conn, opts={"compare_type": True, "include_object": not_of_an_extension}
        )
        assert compare_metadata(context, metadata) == []
        found = inspect(conn)
        rank = next(c for c in found.get_columns("tickets") if c["name"] == "rank")
        assert rank["type"].collation == "C"


def test_a_fresh_database_has_an_empty_log_and_an_epoch_of_its_own(ready, tmp_path):
    ((epoch, head, floor),) = run(ready, "SELECT epoch, head, floor FROM log_state")
    assert (len(epoch), head, floor) == (8, 0, 0)
    other = Config.load({"XDG_DATA_HOME": str(tmp_path / "other"), "XDG_CONFIG_HOME": "/nowhere"})
    engine = make_engine(other.database_url)
    migrate.prepare(other, engine)
    engine.dispose()
    assert run(other.database_path, "SELECT epoch FROM log_state") != [(epoch,)]


def test_a_current_database_needs_no_alembic(ready):
    program = (
        "import sys, pathlib\n"
        "from cortex_server.db import engine, migrate\n"
        "from cortex_server.config import Config\n"
        "url = 'sqlite:///' + sys.argv[1]\n"
        "config = Config(data_dir=pathlib.Path('/nowhere'), database_url=url)\n"
        "migrate.prepare(config, engine.make_engine(url))\n"
        "assert 'alembic' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, ready], check=True, timeout=30)
    assert not list(ready.parent.glob("*.before-*"))


def test_only_the_owner_can_read_the_database(config, engine):
    old = os.umask(0)
    try:
        migrate.prepare(config, engine)
        with engine.connect() as conn:
            conn.execute(text("SELECT 1"))
            names = sorted(os.listdir(config.database_path.parent))
            assert names == ["cortex.db", "cortex.db-shm", "cortex.db-wal"]
            assert {mode(config.database_path.parent / name) for name in names} == {0o600}
    finally:
        os.umask(old)
    assert mode(config.database_path.parent) == 0o700


def test_permissions_that_are_too_wide_are_narrowed(config, engine, ready):
    ready.chmod(0o644)
    ready.parent.chmod(0o755)
    migrate.prepare(config, engine)
    assert (mode(ready), mode(ready.parent)) == (0o600, 0o700)


def test_a_directory_that_is_not_ours_keeps_its_permissions(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    url = f"sqlite:///{shared}/board.db"
    engine = make_engine(url)
    migrate.prepare(Config(data_dir=tmp_path / "cortex", database_url=url), engine)
    engine.dispose()
    assert (mode(shared), mode(shared / "board.db")) == (0o755, 0o600)


def test_an_older_database_is_copied_and_then_migrated(config, engine, ready, later):
    run(ready, "UPDATE log_state SET head = 7")
    migrations = later(["op.execute('CREATE TABLE more (id INTEGER)')"])
    migrate.prepare(config, engine, migrations, NOW)
    assert "more" in schema_of(ready)
    assert run(ready, "SELECT version_num FROM alembic_version") == [("9999",)]
    backup = ready.with_name("cortex.db.before-9999-20260126T155301Z")
    assert mode(backup) == 0o600
    assert "more" not in schema_of(backup)
    assert run(backup, "SELECT version_num, head FROM alembic_version, log_state") == [
        (OURS.head, 7)
    ]


def test_the_copy_has_what_was_only_in_the_write_ahead_log(config, engine, ready, later):
    with closing(sqlite3.connect(ready)) as conn, conn:
        conn.execute("UPDATE log_state SET head = 8")
        conn.commit()
        assert ready.with_name("cortex.db-wal").stat().st_size > 0
        migrate.prepare(config, engine, later(["pass"]), NOW)
    (backup,) = ready.parent.glob("*.before-*")
    assert run(backup, "SELECT head FROM log_state") == [(8,)]


FAILING = [
    "op.execute('CREATE TABLE half (id INTEGER)')",
    "op.execute('UPDATE log_state SET head = 99')",
    "op.execute('DROP TABLE idempotency')",
    "op.execute('INSERT INTO nowhere VALUES (1)')",
]


def test_a_migration_that_fails_in_the_middle_changes_nothing(config, engine, ready, later):
    before = ready.read_bytes()
    with pytest.raises(DatabaseRefused, match=r"left as it was: .*nowhere.*A copy of it is"):
        migrate.prepare(config, engine, later(FAILING), NOW)
    engine.dispose()
    assert ready.read_bytes() == before
    migrate.prepare(config, engine)


def test_a_first_migration_that_fails_leaves_an_empty_database(config, engine, later):
    with pytest.raises(DatabaseRefused):
        migrate.prepare(config, engine, later(FAILING), NOW)
    assert schema_of(config.database_path) == {}
    migrate.prepare(config, engine)
    assert "tickets" in schema_of(config.database_path)


def test_a_migration_may_rebuild_a_table_that_others_refer_to(config, engine, ready, later):
    with closing(sqlite3.connect(ready)) as conn, conn:
        conn.execute(
            "INSERT INTO tokens (id, hash, name, role, actor_kind, actor_name, created_at)"
            " VALUES ('t', 'h', 'n', 'read', 'user', 'u', 'now')"
        )
        conn.execute("INSERT INTO login_tickets VALUES ('x', 't', 'later')")
    body = ["with op.batch_alter_table('tokens', recreate='always') as batch:", "    pass"]
    migrate.prepare(config, engine, later(body), NOW)
    assert run(ready, "SELECT token_id FROM login_tickets") == [("t",)]
    with engine.connect() as conn:
        assert conn.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_migration_that_breaks_a_reference_is_undone(config, engine, ready, later):
    body = ["op.execute(\"INSERT INTO login_tickets VALUES ('x', 'nobody', 'later')\")"]
    with pytest.raises(DatabaseRefused, match="without its parent"):
        migrate.prepare(config, engine, later(body), NOW)
    assert run(ready, "SELECT * FROM login_tickets") == []


def test_a_database_of_a_newer_program_is_refused(config, engine, ready):
    run(ready, "UPDATE alembic_version SET version_num = '7777'")
    before = ready.read_bytes()
    with pytest.raises(DatabaseRefused, match="revision 7777, which is newer"):
        migrate.prepare(config, engine)
    assert ready.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(config, engine):
    path = config.database_path
    path.parent.mkdir(parents=True)
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(DatabaseRefused, match="is not a database"):
        migrate.prepare(config, engine)
    assert path.read_text() == "Dear diary, " * 1000


def test_the_database_of_another_program_is_refused_and_left_alone(config, engine):
    path = config.database_path
    path.parent.mkdir(parents=True)
    run(path, "CREATE TABLE bookmarks (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused, match="another program"):
        migrate.prepare(config, engine)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_database_is_refused_and_left_alone(config, engine, ready, damage):
    content = bytearray(ready.read_bytes())
    content[100:] = content[100:4096] if damage == "cut" else b"\xff" * (len(content) - 100)
    ready.write_bytes(content)
    with pytest.raises(DatabaseRefused, match="damaged"):
        migrate.prepare(config, engine)
    assert ready.read_bytes() == content


def test_a_damage_deep_inside_is_found_before_a_migration(config, engine, ready, later):
    content = bytearray(ready.read_bytes())
    root = run(ready, "SELECT rootpage FROM sqlite_schema WHERE name = 'ix_idempotency_at'")[0][0]
    content[(root - 1) * 4096 : root * 4096] = b"\xff" * 4096
    ready.write_bytes(content)
    with pytest.raises(DatabaseRefused, match="damaged"):
        migrate.prepare(config, engine, later(["pass"]), NOW)
    assert ready.read_bytes() == content


def test_an_empty_file_is_a_fresh_database(config, engine):
    config.database_path.parent.mkdir(parents=True)
    config.database_path.touch()
    migrate.prepare(config, engine)
    assert "tickets" in schema_of(config.database_path)
    assert not list(config.database_path.parent.glob("*.before-*"))


def test_a_place_where_no_database_can_be_is_refused(tmp_path):
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/cortex.db"
    with pytest.raises(DatabaseRefused, match="cannot be used"):
        migrate.prepare(config_for(url), make_engine(url))


def test_a_path_with_special_characters_works(tmp_path):
    path = tmp_path / "50% off #1 & more.db"
    url = f"sqlite:///{path}"
    engine = make_engine(url)
    for _ in range(2):
        migrate.prepare(Config(data_dir=Path("/nowhere"), database_url=url), engine)
    engine.dispose()
    assert "tickets" in schema_of(path)


def test_a_path_that_an_address_cannot_name_is_refused(tmp_path):
    url = f"sqlite:///{tmp_path}/which?.db"
    with pytest.raises(DatabaseRefused, match="question mark"):
        migrate.prepare(config_for(url), make_engine(url))
    assert os.listdir(tmp_path) == []


@pytest.mark.postgres
def test_a_migration_that_fails_on_postgres_changes_nothing(later):
    with empty_postgres() as url:
        engine = make_engine(url)
        migrate.prepare(config_for(url), engine)
        migrate.prepare(config_for(url), engine)
        with pytest.raises(DatabaseRefused, match="left as it was"):
            migrate.prepare(config_for(url), engine, later(FAILING))
        with engine.connect() as conn:
            names = set(inspect(conn).get_table_names())
            assert "half" not in names
            assert "idempotency" in names
            assert conn.scalar(text("SELECT head FROM log_state")) == 0
            assert conn.scalar(text("SELECT version_num FROM alembic_version")) == OURS.head
        engine.dispose()


@pytest.mark.postgres
def test_newer_and_foreign_databases_are_refused_on_postgres():
    with empty_postgres() as url:
        engine = make_engine(url)
        with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
            conn.execute(text("CREATE TABLE projects (id INTEGER)"))
        with pytest.raises(DatabaseRefused, match="another program"):
            migrate.prepare(config_for(url), engine)
        with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
            conn.execute(text("DROP TABLE projects"))
        migrate.prepare(config_for(url), engine)
        with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
            conn.execute(text("UPDATE alembic_version SET version_num = '7777'"))
        with pytest.raises(DatabaseRefused, match="newer"):
            migrate.prepare(config_for(url), engine)
        engine.dispose()


def test_a_postgres_that_is_not_there_is_said_without_its_password(tmp_path):
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://me:hush@/board?host={tmp_path}"
    with pytest.raises(DatabaseRefused, match="cannot be reached") as refused:
        migrate.prepare(config_for(url), make_engine(url))
    assert "hush" not in str(refused.value)
