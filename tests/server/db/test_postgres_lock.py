"""Who may have a PostgreSQL database: any number of servers, or one program for itself."""

from contextlib import closing
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from cortex_server import wsgi
from cortex_server.db import postgres
from cortex_server.db.engine import make_engine
from cortex_server.db.leader import Leadership
from cortex_server.db.lock import DatabaseUnreachable, PostgresLock
from cortex_server.db.migrate import DatabaseRefused
from tests.support.databases import empty_postgres
from tests.support.postgres import execute
from tests.support.server import wait_for

pytestmark = pytest.mark.postgres
NOBODY = "postgresql+psycopg://nobody@127.0.0.1:9/none"


@pytest.fixture(scope="module")
def url():
    with empty_postgres() as url:
        yield url


def test_servers_share_it_and_a_program_waits_until_all_have_gone(url):
    program = PostgresLock(url)
    program.probe()
    with closing(postgres.connect(url)) as one:
        with closing(postgres.connect(url)) as other:
            assert postgres.share(one)
            assert postgres.share(other)
            program.probe()
        with pytest.raises(DatabaseRefused, match="A Cortex server serves"):
            program.acquire(wait_s=0)
    program.acquire(wait_s=5)
    program.release()


def test_a_program_keeps_servers_and_other_programs_out(url):
    first, second = PostgresLock(url), PostgresLock(url)
    first.acquire(wait_s=0)
    with pytest.raises(DatabaseRefused, match="for itself"):
        second.probe()
    with pytest.raises(DatabaseRefused):
        second.acquire(wait_s=0)
    first.release()
    first.release()
    second.acquire(wait_s=5)
    second.release()


def test_a_database_that_cannot_be_reached_is_said_in_one_line():
    for ask in (lambda lock: lock.acquire(wait_s=0), PostgresLock.probe):
        with pytest.raises(DatabaseUnreachable, match="cannot be reached"):
            ask(PostgresLock(NOBODY))


def test_one_leads_until_it_resigns(url):
    one, other = Leadership(url), Leadership(url)
    assert [one.mine(), other.mine(), one.mine(), other.mine()] == [True, False, True, False]
    one.resign()
    wait_for(other.mine, "the other leads")
    assert not one.mine()
    for each in (one, other):
        each.resign()


def test_a_worker_that_is_told_to_stop_leaves_the_office_at_once(url):
    one, other = Leadership(url), Leadership(url)
    wait_for(one.mine, "one leads")
    stopping = SimpleNamespace(alive=False)
    wsgi._reconcile(None, None, stopping, one)  # no duty is done any more
    wait_for(other.mine, "the other leads")
    other.resign()


def test_who_loses_its_connection_no_longer_leads(url):
    one, other = Leadership(url), Leadership(url)
    wait_for(one.mine, "one leads")
    execute(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s",
        postgres.LEADING & 0xFFFFFFFF,
    )
    assert not one.mine(), "the first answer after a loss is no"
    wait_for(other.mine, "the other leads")
    assert not one.mine()
    other.resign()
    one.resign()


def test_nobody_leads_a_database_that_cannot_be_reached():
    assert not Leadership(NOBODY).mine()


def test_both_ends_of_a_connection_watch_the_other(url):
    ((idle,),) = execute(url, "SELECT current_setting('tcp_user_timeout')")
    assert idle == "10000" or "/" in make_url(url).query["host"]  # over TCP only
    given = f"{url}&options=-c%20work_mem%3D5MB&connect_timeout=9"
    assert execute(given, "SHOW work_mem") == [("5MB",)]
    assert postgres.arguments(make_url(given)).get("connect_timeout") is None


def test_writers_see_what_was_committed_whatever_the_default_is(url):
    engine = make_engine(f"{url}&options=-c%20default_transaction_isolation%3Dserializable")
    with engine.connect() as conn:
        assert conn.scalar(text("SHOW transaction_isolation")) == "read committed"
    engine.dispose()
