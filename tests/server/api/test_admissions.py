"""A crowd that opens streams at once: the database is asked once, and a refusal holds at once."""

import dataclasses

import pytest

from cortex_server.api.admissions import KEPT_S, RecentAdmissions
from cortex_server.auth import Grant
from cortex_server.stream.request import StreamRequest
from tests.support.stores import ALICE

GRANT = Grant("t", "read", ALICE, None, None, None)
ASKED = StreamRequest("me", "CTX", cursor=("e", 7), endings=3)


@pytest.fixture
def admissions():
    return RecentAdmissions()


def test_an_admission_is_found_for_a_second_without_who_asked_and_from_where(admissions):
    admissions.note("key", GRANT, ASKED, 100.0)
    found = admissions.find("key", 3, 100.0 + KEPT_S - 0.01)
    assert found == (GRANT, dataclasses.replace(ASKED, client_id="", cursor=None))
    assert admissions.find("other", 3, 100.0) is None
    assert admissions.find("key", 3, 100.0 + KEPT_S) is None


def test_any_revocation_or_deletion_forgets_it(admissions):
    admissions.note("key", GRANT, ASKED, 100.0)
    assert admissions.find("key", 4, 100.0) is None


@pytest.mark.parametrize(
    ("grant", "asked"),
    [
        (dataclasses.replace(GRANT, ticket="CTX-1"), ASKED),
        (GRANT, dataclasses.replace(ASKED, ticket="CTX-1")),
        (GRANT, dataclasses.replace(ASKED, deltas="s")),
    ],
)
def test_what_may_go_without_an_ending_is_asked_each_time(admissions, grant, asked):
    admissions.note("key", grant, asked, 100.0)
    assert admissions.find("key", 3, 100.0) is None
