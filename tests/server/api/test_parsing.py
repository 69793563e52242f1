"""SECURITY row 9: what a lenient parser lets through is refused, and nothing of it is stored."""

import io

import gevent
import pytest

from .conftest import is_problem

DEEP = b'{"title":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
MALFORMED = {
    "empty": b"",
    "blank": b"  ",
    "not JSON": b"title",
    "cut": b'{"title":"x"',
    "two values": b'{"title":"x"}{}',
    "list": b"[]",
    "string": b'"title"',
    "null": b"null",
    "number": b"1",
    "not UTF-8": b'{"title":"\xff"}',
    "latin-1": '{"title":"é"}'.encode("latin-1"),
    "UTF-16": '{"title":"x"}'.encode("utf-16"),
    "UTF-16 without mark": '{"title":"x"}'.encode("utf-16-le"),
    "UTF-32": '{"title":"x"}'.encode("utf-32"),
    "byte order mark": b'\xef\xbb\xbf{"title":"x"}',
    "surrogates as UTF-8": b'{"title":"\xed\xa0\x80"}',
    "lone surrogate": b'{"title":"\\ud800"}',
    "lone low surrogate": b'{"title":"\\udc00"}',
    "lone surrogate in a key": b'{"title":"x","\\ud800":1}',
    "NUL": b'{"title":"a\\u0000b"}',
    "raw NUL": b'{"title":"a\x00b"}',
    "raw line feed": b'{"title":"a\nb"}',
    "NUL in a key": b'{"title":"x","a\\u0000":1}',
    "NUL deep inside": b'{"title":"x","labels":[["\\u0000"]]}',
    "NaN": b'{"title":"x","position":NaN}',
    "Infinity": b'{"title":"x","position":Infinity}',
    "-Infinity": b'{"title":"x","position":-Infinity}',
    "too large a number": b'{"title":"x","position":1e999}',
    "2^63": b'{"title":"x","position":9223372036854775808}',
    "-2^63-1": b'{"title":"x","position":-9223372036854775809}',
    "a million digits": b'{"title":"x","position":' + b"9" * 1_000_000 + b"}",
    "hexadecimal": b'{"title":"x","position":0x10}',
    "plus": b'{"title":"x","position":+1}',
    "leading zero": b'{"title":"x","position":01}',
    "duplicate key": b'{"title":"x","title":"y"}',
    "duplicate key inside": b'{"title":"x","a":{"b":1,"b":2}}',
    "duplicate key by escape": b'{"title":"x","\\u0074itle":"y"}',
    "65 levels": b'{"title":' + b"[" * 65 + b"]" * 65 + b"}",
    "100,000 levels": DEEP,
    "100,000 open": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "comment": b'{"title":"x"} // no',
    "single quotes": b"{'title':'x'}",
    "trailing comma": b'{"title":"x",}',
}
INVALID = {
    "object for a string": (b'{"title":{}}', "title"),
    "number for a string": (b'{"title":1}', "title"),
    "null for a string": (b'{"title":null}', "title"),
    "blank": (b'{"title":"  "}', "title"),
    "501 characters": (b'{"title":"' + b"x" * 501 + b'"}', "title"),
    "unknown field": (b'{"title":"x","tilte":"y"}', "tilte"),
    "actor is not ours to name": (b'{"title":"x","actor":"root"}', "actor"),
    "string for a list": (b'{"title":"x","labels":"a"}', "labels"),
    "number in a list": (b'{"title":"x","labels":["a",1]}', "labels.1"),
    "unknown priority": (b'{"title":"x","priority":"huge"}', "priority"),
    "no such column": (b'{"title":"x","status":"nowhere"}', "status"),
    "date that is none": (b'{"title":"x","due":"2026-02-30"}', "due"),
    "date without dashes": (b'{"title":"x","due":"20260201"}', "due"),
    "51 labels": (b'{"title":"x","labels":[%s]}' % b",".join([b'"a"'] * 51), "labels"),
}  # fmt: skip
REQUESTS = [("POST", "/projects/CTX/tickets"), ("PATCH", "/tickets/CTX-1")]


@pytest.mark.parametrize("method, path", REQUESTS)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json_is_refused(shared, method, path, body):
    before = shared.head

    answer = shared.raw(method, path, body)

    assert is_problem(answer, 400, "malformed")
    assert shared.head == before


@pytest.mark.parametrize("method, path", REQUESTS)
@pytest.mark.parametrize("body, field", INVALID.values(), ids=INVALID.keys())
def test_a_refused_field_is_named_in_plain_words(shared, method, path, body, field):
    before = shared.head

    answer = shared.raw(method, path, body)

    assert is_problem(answer, 422, "invalid")
    assert shared.head == before
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert "Input" not in answer.json["errors"][0]["message"]


START = {"on": {"types": ["*"]}, "action": {"kind": "attempt", "agent": "a"}}
NAMED = {
    "project": ("/projects", {"key": "P"}),
    "team": ("/teams", {"key": "t"}),
    "token": ("/tokens", {"role": "read"}),
    "label": ("/projects/CTX/labels", {}),
    "trigger": ("/projects/CTX/triggers", START),
    "batch": ("/projects/CTX/batches", {"agent": "a", "tickets": ["CTX-1"]}),
    "profile": ("/profiles", {"agent": "a"}),
    "runner": ("/runners", {"host": "h", "version": "1", "parallel": 1, "agents": []}),
}


@pytest.mark.parametrize("path, body", NAMED.values(), ids=NAMED.keys())
def test_a_name_is_one_line_without_control_characters(shared, path, body):
    for bad in ("\x1b", "\n", "\x9b", "\u2028"):
        answer = shared("POST", path, json={**body, "name": f"a{bad}b"})

        assert is_problem(answer, 422, "invalid")
        assert "name" in [error["field"] for error in answer.json["errors"]]


def test_a_missing_field_is_named(shared):
    answer = shared.raw("POST", "/projects/CTX/tickets", b"{}")

    assert answer.json["errors"] == [{"field": "title", "message": "is required"}]


def test_unusual_but_sound_json_is_taken(api):
    body = '  {"title":"\\ud83d\\ude00 \u2028 \x7f é","body":"\\u0001\\r\\n"}\n'.encode()

    answer = api.raw("POST", "/projects/CTX/tickets", body)

    assert answer.status_code == 201
    assert answer.json["title"] == "\U0001f600 \u2028 \x7f é"
    assert answer.json["body"] == "\x01\r\n"


def test_64_levels_and_64_bits_are_taken(api):
    session = api.make("/tickets/CTX-1/sessions")
    part = b'{"type":"tool","text":"","input":%s}' % (
        b"[" * 61 + b"9223372036854775807" + b"]" * 61
    )

    answer = api.raw(
        "PUT", f"/sessions/{session['id']}/messages/m", b'{"role":"tool","parts":[%s]}' % part
    )

    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/jsonx", "application/json; charset=utf-16", "application/json; charset=latin-1",
     "application/json, text/plain", "text/json"],
)  # fmt: skip
def test_only_json_is_taken(shared, content_type):
    answer = shared.raw(
        "POST", "/projects/CTX/tickets", b'{"title":"x"}', **{"Content-Type": content_type}
    )

    assert is_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json;charset=UTF-8", 'Application/JSON; charset="utf-8"']
)
def test_the_content_type_may_name_utf_8(api, content_type):
    answer = api.raw(
        "POST", "/projects/CTX/tickets", b'{"title":"x"}', **{"Content-Type": content_type}
    )

    assert answer.status_code == 201


def test_a_compressed_body_is_refused(shared):
    answer = shared.raw(
        "POST", "/projects/CTX/tickets", b"\x1f\x8b", **{"Content-Encoding": "gzip"}
    )

    assert is_problem(answer, 415)


class Endless:
    """A chunked body that never ends; counts what is taken from it."""

    def __init__(self):
        self.taken = 0

    def read(self, size):
        self.taken += size
        return b" " * size


class Never:
    """A body that does not arrive."""

    def read(self, _size):
        gevent.sleep(60)


def chunked(api, body):
    environ = {"wsgi.input": body, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {api.token}"}
    return api.client.post(
        "/api/projects/CTX/tickets", base_url="http://127.0.0.1:4747", headers=headers,
        environ_overrides=environ,
    )  # fmt: skip


def test_a_large_body_is_refused_before_it_is_read(start):
    api = start(body_max_bytes=1000)
    body = Endless()

    answer = chunked(api, body)

    assert is_problem(answer, 413, "too_large")
    assert body.taken <= 200_000
    assert is_problem(api.raw("POST", "/projects", b" " * 1001), 413)


def test_a_chunked_body_is_taken(api):
    answer = chunked(api, io.BytesIO(b'{"title":"in chunks"}'))

    assert answer.json["title"] == "in chunks"


def test_a_slow_body_meets_its_deadline(start):
    answer = chunked(start(body_timeout_s=0.05), Never())

    assert is_problem(answer, 408, "body_timeout")


@pytest.mark.parametrize("method, path", [("GET", "/tickets/CTX-1"), ("DELETE", "/tickets/CTX-1")])
def test_a_body_where_none_belongs_is_refused(shared, method, path):
    assert is_problem(shared.raw(method, path, b"{}"), 400, "malformed")


QUERIES = [
    "?limit=1_0", "?limit=+1", "?limit=-1", "?limit=0", "?limit=501", "?limit=1.0", "?limit=",
    "?limit=%D9%A1", "?limit=99999999999999999999", "?limit=1&limit=1", "?unknown=1", "?=1",
    "?archived=maybe", "?type=nothing", "?q=%00", "?q=%ff", "?q=%zz", "?q=%", "?q=",
    "?cursor=x", "?cursor=%22", "?cursor=W10", "?cursor=Wy0xXQ", "?cursor=" + "W" * 3000,
    "?cursor=WyJcdWQ4MDAiLDFd", "?cursor=WyJhIiwgMTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMF0",
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_a_malformed_query_is_refused(shared, query):
    assert is_problem(shared("GET", f"/tickets{query}"), 400, "malformed")


@pytest.mark.parametrize("path", ["/tickets/\xff", "/tickets/a\x00", "/projects/\xc3(/board"])
def test_a_malformed_path_is_refused(shared, path):
    # as a server hands it over: bytes in the shape of latin-1 text
    answer = shared("GET", "/tickets/x", environ_overrides={"PATH_INFO": f"/api{path}"})

    assert is_problem(answer, 400, "malformed")


@pytest.mark.parametrize("name", ["token", "access_token", "Token", "ctx_abc"])
def test_a_token_in_an_address_is_refused_and_not_repeated(shared, name):
    answer = shared("GET", f"/tickets?{name}=ctx_secret")

    assert is_problem(answer, 400, "token_in_url")
    assert "ctx_" not in answer.text
