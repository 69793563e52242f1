"""`python -m cortex_server db …` as processes: what they print, and how they end when hindered."""

import json
import os
import pty
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cortex_server.db import epoch
from cortex_server.db.engine import make_engine
from cortex_server.db.migrate import OURS, upgrade
from tests.support import needs
from tests.support.databases import empty_postgres, fresh_sqlite
from tests.support.filled import EPOCH, ROWS, content, fill
from tests.support.server import ROOT, Server, wait_for
from tests.support.writers import Writer, assert_ledger_holds, writing

pytestmark = pytest.mark.e2e

LARGE_MB = 60


class Home:
    """An account with a filled database; `run` a command in it, or `start` one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "cortex"
        self.directory.mkdir()
        self.path = self.directory / "cortex.db"
        self.url = f"sqlite:///{self.path}"
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("CORTEX_", "XDG_"))},
            "HOME": str(directory),
            "XDG_DATA_HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory),
            "PYTHONPATH": str(ROOT),
        }

    def start(self, *words, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "cortex_server", "db", *map(str, words)], env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **options,
        )  # fmt: skip

    def run(self, *words, **options):
        process = self.start(*words, **options)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def json(self, *words):
        code, out, err = self.run(*words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    def files(self):
        return sorted(str(p.relative_to(self.directory)) for p in self.directory.rglob("*"))


@pytest.fixture
def home(tmp_path):
    found = Home(tmp_path)
    with fresh_sqlite(found.directory):
        engine = make_engine(found.url)
        fill(engine)
        engine.dispose()
        epoch.record(found.path, EPOCH, ROWS)
        found.path.chmod(0o600)
        yield found


@pytest.fixture
def large(home):
    with closing(sqlite3.connect(home.path)) as conn, conn:
        size = LARGE_MB * 1_000_000
        conn.execute("UPDATE events SET payload = zeroblob(?) WHERE position = 1", (size,))
    return home


def test_every_command_says_what_it_did(home):
    made = home.json("backup")
    assert (made["epoch"], made["head"], made["revision"]) == (EPOCH, ROWS, OURS.head)
    assert made["bytes"] == Path(made["backup"]).stat().st_size
    assert home.json("check")["ok"]
    assert home.json("upgrade")["backup"] is None
    back = home.json("restore", made["backup"], "--yes")
    assert (back["head"], back["to"]) == (ROWS, str(home.path))
    assert back["epoch"] != EPOCH
    code, out, _ = home.run("epoch")
    assert (code, out) == (0, back["epoch"] + "\n")
    copied = home.json("copy", home.path, home.directory / "there.db")
    assert copied["epoch"] == back["epoch"]
    assert home.json("check")["sealed"]
    code, out, _ = home.run("unseal")
    assert code == 0
    assert "may be served again" in out


def test_the_same_in_words(home):
    code, out, err = home.run("backup")
    assert code == 0
    assert Path(out.strip()).exists(), "the name alone, for a script"
    assert f"epoch {EPOCH}, head {ROWS}" in err
    code, out, _ = home.run("check")
    assert (code, out.splitlines()[-1]) == (0, f"Everything is in order; {ROWS} events.")
    code, out, _ = home.run("upgrade")
    assert (code, "nothing to do" in out) == (0, True)


def test_an_upgrade_says_from_where_to_where_and_what_is_kept(home):
    home.path.unlink()
    engine = make_engine(home.url)
    upgrade(engine, to=OURS.revisions[0])
    engine.dispose()
    code, out, err = home.run("upgrade")
    assert (code, err) == (0, "")
    assert f"from revision {OURS.revisions[0]} to {OURS.head}" in out
    assert Path(out.split()[-1].rstrip(".")).exists()


def test_a_relative_path_is_one_of_this_directory(home):
    home.env["CORTEX_DATABASE_URL"] = "sqlite:///cortex.db"
    for words in (["upgrade"], ["check"], ["backup"]):
        code, _, err = home.run(*words, cwd=home.directory)
        assert code == 0, err


@pytest.mark.postgres
def test_an_upgrade_of_postgres_makes_a_backup_first(home):
    with empty_postgres() as url:
        engine = make_engine(url)
        upgrade(engine, to=OURS.revisions[0])
        engine.dispose()
        home.env["CORTEX_DATABASE_URL"] = url
        done = home.json("upgrade")
        assert (done["before"], done["now"]) == (OURS.revisions[0], OURS.head)
        with closing(sqlite3.connect(done["backup"])) as conn:
            found = conn.execute("SELECT version_num FROM alembic_version").fetchall()
        assert found == [(OURS.revisions[0],)]
        assert home.json("upgrade")["backup"] is None
        assert home.json("check")["ok"]


def test_check_ends_with_1_when_something_is_wrong(home):
    with closing(sqlite3.connect(home.path)) as conn, conn:
        conn.execute("DELETE FROM events WHERE position = 2")
    code, out, _ = home.run("check")
    assert code == 1
    assert "Wrong: 1 positions between 1 and 3 have no event. Restore a backup" in out
    code, out, _ = home.run("check", "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


@pytest.mark.parametrize("words", [["restore", "x.db"], ["copy", "x.db", "y.db", "--replace"]])
def test_what_replaces_something_asks_or_wants_yes(home, words):
    code, _, err = home.run(*words)
    assert code == 2
    assert "Without a terminal it needs --yes" in err


@pytest.mark.parametrize(("typed", "code"), [("n\n", 1), ("y\n", 0)])
def test_on_a_terminal_it_asks(home, typed, code):
    saved = home.json("backup")["backup"]
    before = content(home.url)
    terminal, other = pty.openpty()
    os.write(terminal, typed.encode())
    ran = subprocess.run(
        [sys.executable, "-m", "cortex_server", "db", "restore", saved],
        env=home.env, stdin=other, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(terminal)
    os.close(other)
    assert ran.returncode == code
    assert f"puts {saved} in the place of {home.path}" in ran.stderr
    assert (content(home.url) == before) == (code == 1)


@pytest.mark.parametrize(
    "words",
    [
        ["restore", "/dev/null", "--yes"],
        ["restore", "absent.db", "--yes"],
        ["backup", "/proc/none/x.db"],
        ["backup", "/dev/null", "--force"],
        ["copy", "mysql://x"],
        ["unseal"],
    ],
)
def test_what_cannot_be_done_is_one_line(home, words):
    before = home.files()
    code, out, err = home.run(*words)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("cortex: ")
    assert set(home.files()) - set(before) <= {"cortex.db.lock"}


def test_no_command_makes_a_database(home):
    home.path.unlink()
    for words in (["check"], ["epoch"], ["backup"], ["unseal"]):
        code, _, err = home.run(*words)
        assert (code, "no database at" in err or "is not sealed" in err) == (1, True)
    assert not home.path.exists()


@pytest.fixture
def powerless():
    """What to put before a command so that permissions count, also when root runs the tests."""
    if os.geteuid():
        return []
    without = "-dac_override,-dac_read_search"
    return [needs.program("setpriv"), f"--bounding-set={without}", f"--inh-caps={without}"]


def test_a_database_that_can_only_be_read_is_copied(home, powerless, tmp_path):
    """As on a read-only disk: SQLite cannot make the files that belong to a write-ahead log."""
    locked = tmp_path / "locked"
    locked.mkdir()
    shutil.copy(home.path, locked / "board.db")
    with closing(sqlite3.connect(locked / "board.db")) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
    (locked / "board.db").chmod(0o400)
    locked.chmod(0o500)
    words = [*powerless, sys.executable, "-m", "cortex_server", "db"]

    def run(*more):
        return subprocess.run(
            [*words, *map(str, more)], env=home.env, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip

    try:
        done = run("restore", locked / "board.db", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        for refused in (run("backup", locked), run("copy", locked / "board.db", tmp_path / "x.db")):
            assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
            assert "ermission denied" in refused.stderr
    finally:
        locked.chmod(0o700)


INTERRUPTED = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGKILL: -9}


@pytest.mark.fault
@pytest.mark.parametrize("number", INTERRUPTED)
@pytest.mark.parametrize("command", ["backup", "restore"])
def test_an_interrupted_command_leaves_the_database_alone(large, command, number):
    words = ["backup"]
    if command == "restore":
        _, out, _ = large.run("backup", large.directory / "saved.db")
        words = ["restore", out.strip(), "--yes"]
    before, files = large.path.read_bytes(), set(large.files())
    process = large.start(*words)
    wait_for(lambda: _written(large.directory) > 1_000_000, "the copy is being written")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED[number], err
    assert large.path.read_bytes() == before
    left = set(large.files()) - files - {"cortex.db.lock", "backups"}
    if number == signal.SIGKILL:
        assert left
        assert large.json(*words)["head"] == ROWS  # and the next one takes away what was left
        left = {name for name in large.files() if ".part" in name}
    else:
        assert "Interrupted" in err
        assert err.count("\n") == 1
    assert left == set()


@pytest.mark.fault
@pytest.mark.postgres
def test_a_copy_that_is_interrupted_while_postgres_analyzes_changed_nothing(home):
    with empty_postgres() as url:
        engine = make_engine(url)
        upgrade(engine)
        with engine.begin() as conn:
            conn.exec_driver_sql(
                "CREATE FUNCTION hang(n integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS $$ "
                "BEGIN IF current_query() LIKE 'ANALYZE%%' THEN PERFORM pg_sleep(60); END IF; "
                "RETURN n; END $$"
            )
            conn.exec_driver_sql("CREATE INDEX ix_hang ON tickets (hang(number))")

        def analyzes():
            with engine.connect() as conn:
                return conn.exec_driver_sql(
                    "SELECT 1 FROM pg_stat_activity WHERE query = 'ANALYZE' AND state = 'active'"
                ).scalar()

        process = home.start("copy", home.path, url)
        wait_for(analyzes, "it analyzes")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert err == "cortex: Interrupted; the database is as it was.\n"
        assert not home.json("check")["sealed"]
        with engine.connect() as conn:
            assert conn.exec_driver_sql("SELECT head FROM log_state").scalar() == 0
        engine.dispose()


def _written(directory):
    sizes = [0]
    for part in directory.rglob(".*.part"):
        try:
            sizes.append(part.stat().st_size)
        except FileNotFoundError:
            pass
    return max(sizes)


@pytest.mark.fault
@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_file_that_may_not_grow_is_told_and_leaves_the_database_alone(large, command):
    words = ["backup"]
    if command == "restore":
        _, out, _ = large.run("backup", large.directory / "saved.db")
        words = ["restore", out.strip(), "--yes"]
    before = large.path.read_bytes()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000_000, 10_000_000))

    code, out, err = large.run(*words, preexec_fn=limit)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "could not be copied" in err
    assert large.path.read_bytes() == before
    assert not [name for name in large.files() if ".part" in name]


@pytest.mark.slow
def test_backups_beside_a_server_that_writes_and_a_restore_of_one(tmp_path):
    server = Server(tmp_path).start()
    try:
        server.make("/projects", key="P", name="P")
        home = [sys.executable, "-m", "cortex_server", "db"]

        def db(*words):
            return subprocess.run(
                [*home, *map(str, words)], env=server.env, capture_output=True, text=True,
                timeout=60, check=False,
            )  # fmt: skip

        writers = [Writer(server, "P") for _ in range(2)]
        with writing(writers):
            made = [db("backup", tmp_path / f"{n}.db", "--json") for n in range(3)]
            checked = db("check", "--json")
        assert [ran.returncode for ran in [*made, checked]] == [0] * 4, checked.stdout
        heads = [json.loads(ran.stdout)["head"] for ran in made]
        assert heads == sorted(set(heads))
        assert_ledger_holds(server, writers)
        refused = db("restore", tmp_path / "0.db", "--yes")
        assert refused.returncode == 1
        assert "in use by process" in refused.stderr
        server.stop()
        restored = json.loads(db("restore", tmp_path / "0.db", "--yes", "--json").stdout)
        server.start()
        report = json.loads(db("check", "--json").stdout)
        assert report["ok"]
        assert report["epoch"] == restored["epoch"]
        assert report["head"] >= restored["head"] == heads[0]
    finally:
        server.stop()
