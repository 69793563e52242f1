"""A repeated request has one effect and the same answer, also after a restart."""

from datetime import UTC, datetime, timedelta

import gevent
import pytest

from cortex_server.app import create_app
from cortex_server.config import Config
from cortex_server.domains import idempotency
from cortex_server.store import SYSTEM

from .conftest import Api, is_problem

KEY = {"Idempotency-Key": "3f0c"}


def facts(answer):
    """All of an answer that a client can see, but the time at which it was sent."""
    return answer.status_code, sorted(answer.headers.items()), answer.get_data()


def session_of(api):
    return api.make("/tickets/CTX-1/sessions")["id"]


def mutations(api):
    """One request of each verb and kind: (method, path, body)."""
    session = session_of(api)
    comment = api.make("/tickets/CTX-1/comments", body="x")["id"]
    return [
        ("POST", "/projects/CTX/tickets", {"title": "x", "labels": ["new"]}),
        ("POST", "/tickets/CTX-1/move", {"status": "done"}),
        ("PATCH", "/tickets/CTX-1", {"title": "y"}),
        ("PUT", f"/sessions/{session}/messages/m", {"role": "user", "parts": []}),
        ("POST", f"/sessions/{session}/end", None),
        ("DELETE", f"/comments/{comment}", None),
        ("POST", "/projects", {"key": "OTHER", "name": "o"}),
        ("DELETE", "/tickets/CTX-1?revision=3", None),
    ]


def test_every_verb_is_repeated_without_a_second_effect(api):
    for number, (method, path, body) in enumerate(mutations(api)):
        key = {"Idempotency-Key": f"k{number}"}
        first = api(method, path, json=body, headers=key)
        assert first.status_code < 300, (path, first.text)
        after_first = api.head

        second = api(method, path, json=body, headers=key)

        assert facts(second) == facts(first), path
        assert api.head == after_first, path


def test_a_repeated_request_has_the_same_answer_after_a_restart(start):
    api = start()
    first = api("POST", "/projects/CTX/tickets", json={"title": "é"}, headers=KEY)

    api = start()
    second = api("POST", "/projects/CTX/tickets", json={"title": "é"}, headers=KEY)

    assert facts(second) == facts(first)
    assert first.headers["Location"] == "/api/tickets/CTX-2"
    assert first.headers["ETag"] == '"1"'
    assert len(api.get("/tickets")["items"]) == 2


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/projects/CTX/tickets", {"title": "other"}),
    ("POST", "/projects/CTX/labels", {"name": "x"}),
    ("PATCH", "/tickets/CTX-1", {"title": "x"}),
    ("DELETE", "/tickets/CTX-1", None),
])  # fmt: skip
def test_the_key_of_another_request_is_refused(api, method, path, body):
    api("POST", "/projects/CTX/tickets", json={"title": "x"}, headers=KEY)
    before = api.head

    answer = api(method, path, json=body, headers=KEY)

    assert is_problem(answer, 422, "idempotency_mismatch")
    assert api.head == before


def test_the_same_json_in_other_bytes_is_another_request(api):
    api.raw("POST", "/projects/CTX/tickets", b'{"title":"x"}', **KEY)

    assert is_problem(api.raw("POST", "/projects/CTX/tickets", b'{"title": "x"}', **KEY), 422)


def test_the_key_is_looked_at_before_the_revision(api):
    change = {"title": "x", "revision": 1}
    first = api("PATCH", "/tickets/CTX-1", json=change, headers=KEY)
    api("PATCH", "/tickets/CTX-1", json={"title": "by another"})

    assert facts(api("PATCH", "/tickets/CTX-1", json=change, headers=KEY)) == facts(first)


def test_a_key_belongs_to_its_token(api):
    other = api.token_for(role="write")
    api("POST", "/projects/CTX/tickets", json={"title": "x"}, headers=KEY)

    answer = other("POST", "/projects/CTX/tickets", json={"title": "y"}, headers=KEY)

    assert answer.status_code == 201


def test_a_refused_request_may_be_corrected_under_its_key(api):
    refused = api("POST", "/projects/CTX/tickets", json={"title": "x", "status": "no"}, headers=KEY)
    corrected = api("POST", "/projects/CTX/tickets", json={"title": "x"}, headers=KEY)

    assert is_problem(refused, 422)
    assert corrected.status_code == 201


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_a_key_is_visible_ascii(shared, key):
    answer = shared(
        "POST", "/projects/CTX/tickets", json={"title": "x"}, headers={"Idempotency-Key": key}
    )

    assert is_problem(answer, 400, "malformed")


def test_duplicates_in_flight_have_one_effect(api):
    def post(_number):
        return api("POST", "/projects/CTX/tickets", json={"title": "x"}, headers=KEY)

    answers = [job.get() for job in [gevent.spawn(post, n) for n in range(20)]]

    assert len({str(facts(answer)) for answer in answers}) == 1
    assert len(api.get("/tickets")["items"]) == 2


def test_the_secret_of_a_new_token_is_answered_again_and_stored_nowhere(api):
    wanted = {"name": "ci", "role": "read"}
    first = api("POST", "/tokens", json=wanted, headers=KEY)

    second = api("POST", "/tokens", json=wanted, headers=KEY)

    assert facts(second) == facts(first)
    assert len(api.get("/tokens")["items"]) == 2
    with api.app.extensions["cortex"].store.read() as tx:
        rows = tx.conn.execute(idempotency.idempotency.select()).all()
    assert first.json["secret"] not in str(rows)
    assert "ctx_" not in str(rows)


def test_the_ticket_of_a_login_is_sealed_too(api):
    first = api("POST", "/login-tickets", headers=KEY)

    assert facts(api("POST", "/login-tickets", headers=KEY)) == facts(first)
    with api.app.extensions["cortex"].store.read() as tx:
        assert "ctx_" not in str(tx.conn.execute(idempotency.idempotency.select()).all())


class Later:
    """The wall clock, moved."""

    def __init__(self, ahead):
        self.ahead = ahead

    def now(self):
        return datetime.now(UTC) + self.ahead

    def monotonic(self):
        return 0.0


def test_answers_are_kept_for_a_day(tmp_path):
    config = Config(data_dir=tmp_path / "data", database_url=f"sqlite:///{tmp_path}/cortex.db")
    clock = Later(timedelta(0))
    app = create_app(config, clock)
    api = Api(app, (tmp_path / "data" / "token").read_text().strip())
    api.make("/projects", key="CTX", name="Cortex")
    wanted = {"json": {"title": "x"}, "headers": KEY}

    first = api("POST", "/projects/CTX/tickets", **wanted)
    clock.ahead = timedelta(hours=23, minutes=59)
    assert api("POST", "/projects/CTX/tickets", **wanted).json == first.json
    clock.ahead = timedelta(hours=24, minutes=1)
    assert api("POST", "/projects/CTX/tickets", **wanted).json["key"] == "CTX-2"
    clock.ahead = timedelta(hours=49)
    store = app.extensions["cortex"].store
    with store.write(SYSTEM) as tx:
        assert idempotency.expire(tx) == 1
        assert idempotency.expire(tx) == 0
    store.engine.dispose()
