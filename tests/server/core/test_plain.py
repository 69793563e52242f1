"""Plain requests are read as gunicorn reads them; what is in any way unusual is left to it."""

import io

import pytest
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.http.wsgi import create

from cortex_server import plain

HEAD = b"Host: 127.0.0.1:4747\r\nAuthorization: Bearer ctx_x\r\n"
SERVER = ("127.0.0.1", 4747)
USUAL = {
    "a GET": b"GET /api/teams HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a query": b"GET /api/tickets?project=A%20b&limit=5&x HTTP/1.1\r\n" + HEAD + b"\r\n",
    "an empty query": b"GET /api/teams? HTTP/1.1\r\n" + HEAD + b"\r\n",
    "the root": b"GET / HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no header": b"DELETE /api/teams/a HTTP/1.1\r\n\r\n",
    "a body": b"POST /api/teams HTTP/1.1\r\n" + HEAD + b"content-length:2\r\n\r\n{}",
    "many": (
        b"PATCH /api/tickets/CTX-1 HTTP/1.1\r\n" + HEAD + b"Accept: */*\r\nAccept-Encoding: gzip, "
        b"deflate\r\nUser-Agent: a/1 (b)\r\nConnection: Keep-Alive\r\nIdempotency-Key: k 1\r\n"
        b'If-Match: "7"\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n'
    ),
}
POST = b"POST /api/teams HTTP/1.1\r\n" + HEAD
UNUSUAL = {
    "chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "two spellings": POST + b"Content-Length: 2\r\ncontent-length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a signed length": POST + b"Content-Length: +2\r\n\r\n{}",
    "another script's digits": POST + "Content-Length: ٢\r\n\r\n{}".encode(),
    "a huge length": POST + b"Content-Length: 99999999999\r\n\r\n{}",
    "two hosts": POST + b"Host: 127.0.0.1:4747\r\n\r\n",
    "two tokens": POST + b"Authorization: Bearer ctx_y\r\n\r\n",
    "a waiting client": POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    "an upgrade": POST + b"Upgrade: h2c\r\n\r\n",
    "the last one": POST + b"Connection: close\r\n\r\n",
    "a proxy's": POST + b"X-Forwarded-Proto: https\r\n\r\n",
    "a name with a line": POST + b"Content_Length: 2\r\n\r\n{}",
    "a space before the colon": POST + b"Content-Length : 2\r\n\r\n{}",
    "a folded line": POST + b"Accept: a\r\n b\r\n\r\n",
    "a tab": POST + b"Accept: a\tb\r\n\r\n",
    "a NUL": POST + b"Accept: a\0b\r\n\r\n",
    "a lone CR": POST + b"Accept: a\rContent-Length: 0\r\n\r\n",
    "a lone LF": POST + b"Accept: a\nContent-Length: 0\r\n\r\n",
    "a byte above ASCII": POST + b"Accept: \xe9\r\n\r\n",
    "an empty value": POST + b"Accept:\r\n\r\n",
    "a space behind": POST + b"Accept: a \r\n\r\n",
    "a nameless header": POST + b": a\r\n\r\n",
    "no colon": POST + b"Accept\r\n\r\n",
    "an old version": b"GET / HTTP/1.0\r\n\r\n",
    "a new version": b"GET / HTTP/2.0\r\n\r\n",
    "another method": b"OPTIONS / HTTP/1.1\r\n\r\n",
    "a HEAD": b"HEAD / HTTP/1.1\r\n\r\n",
    "a small method": b"get / HTTP/1.1\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n\r\n",
    "an escape in the path": b"GET /%41 HTTP/1.1\r\n\r\n",
    "a whole address": b"GET http://127.0.0.1:4747/ HTTP/1.1\r\n\r\n",
    "two slashes": b"GET //evil.example/ HTTP/1.1\r\n\r\n",
    "a fragment": b"GET /#a HTTP/1.1\r\n\r\n",
    "an empty line before": b"\r\nGET / HTTP/1.1\r\n\r\n",
    "an end without CR": b"GET / HTTP/1.1\n\n",
    "half a head": POST,
    "a long head": POST + b"Accept: " + b"a" * plain.HEAD_MAX + b"\r\n\r\n",
    "nothing": b"",
}


class Socket:
    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def recv(self, size: int) -> bytes:
        return self.content.read(size)

    def recv_into(self, into) -> int:
        return self.content.readinto(into)


@pytest.mark.parametrize("request_", USUAL.values(), ids=USUAL)
def test_a_usual_request_is_read_as_gunicorn_reads_it(request_):
    parsed = next(RequestParser(Config(), Socket(request_), ("127.0.0.1", 5)))
    _, theirs = create(parsed, Socket(b""), ("127.0.0.1", 5), SERVER, Config())
    body = theirs["wsgi.input"].read()

    known = {}
    for _ in range(2):  # anew, and with the header lines known
        head = plain.read_head(request_, known)
        assert head.environ == {key: theirs[key] for key in head.environ}
        came = {key for key in theirs if key.startswith(("HTTP_", "CONTENT_"))}
        assert came <= head.environ.keys()
        assert (request_[head.end :], head.length) == (body, len(body))
    assert "Bearer ctx_x" in str(known) or b"\r\nAuth" not in request_


@pytest.mark.parametrize("request_", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_request_is_left_to_gunicorn(request_):
    known = {}
    plain.read_head(USUAL["many"], known)
    assert plain.read_head(request_, known) is None


def test_what_is_known_of_a_connection_is_bounded():
    known = {}
    for number in range(100):
        agent = b"User-Agent: %d\r\nIdempotency-Key: %d\r\n\r\n" % (number, number)
        head = plain.read_head(POST + agent, known)
        assert head.environ["HTTP_USER_AGENT"] == head.environ["HTTP_IDEMPOTENCY_KEY"]
    assert len(known) < 20
    assert not any(b"Idempotency" in line for line in known)


def test_a_body_comes_from_what_was_read_and_then_from_the_socket():
    body = plain.Body(Socket(b"cdefNEXT"), b"ab", 6)
    assert body.rest == 4
    assert body.read(1) + body.read() == b"abcdef"
    assert (body.rest, body.read(), body.skip()) == (0, b"", True)


@pytest.mark.parametrize(
    ("arrives", "most", "clean"), [(b"cd", 9, True), (b"cd", 1, False), (b"c", 9, False)]
)
def test_what_is_left_of_a_body_is_skipped_or_ends_the_connection(arrives, most, clean):
    body = plain.Body(Socket(arrives), b"ab", 4)
    assert (body.can_be_skipped(most) and body.skip()) is clean
    assert body.can_be_skipped(9) is (body.rest == 2 or clean)


def test_a_head_has_one_line_for_each_header():
    head = plain.head_of("200 OK", [("A", "b")], "Server: x\r\nDate: y", False, 3)
    assert head == b"HTTP/1.1 200 OK\r\nServer: x\r\nDate: y\r\nA: b\r\nContent-Length: 3\r\n\r\n"


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
def test_a_header_that_would_end_its_line_is_never_sent(value):
    with pytest.raises(ValueError, match="line break"):
        plain.head_of("200 OK", [("A", value)], "Server: x\r\nDate: y", True, 0)
