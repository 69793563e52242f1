"""One server at a time on a PostgreSQL database too."""

import pytest

from cortex_server.db.lock import PostgresLock
from cortex_server.db.migrate import DatabaseRefused
from tests.support.databases import empty_postgres

pytestmark = pytest.mark.postgres


@pytest.fixture
def url():
    with empty_postgres() as url:
        yield url


def test_a_second_server_is_refused_until_the_first_has_gone(url):
    first, second = PostgresLock(url), PostgresLock(url)
    first.acquire(wait_s=0)
    with pytest.raises(DatabaseRefused, match="Another Cortex"):
        second.acquire(wait_s=0)
    first.release()
    second.acquire(wait_s=0)
    second.release()


def test_a_server_that_cannot_be_reached_is_said_in_one_line():
    with pytest.raises(DatabaseRefused, match="cannot be reached"):
        PostgresLock("postgresql+psycopg://nobody@127.0.0.1:9/none").acquire(wait_s=0)
