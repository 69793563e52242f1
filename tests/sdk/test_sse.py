"""The rules of the event stream format, and what a reader must survive."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortex_cli.sdk.errors import EventTooLarge
from cortex_cli.sdk.sse import Decoder, Frame


def read(stream: bytes, *cuts: int) -> list[Frame]:
    """Decode the stream, cut into reads at the given places."""
    decoder, edges = Decoder(), [0, *sorted(cuts), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(edges)]
    return [frame for chunk in chunks for frame in decoder.feed(chunk)]


def message(data: str, id: str | None = None, event: str = "message") -> Frame:
    return Frame(event, data, id)


VECTORS: dict[str, tuple[bytes, list[Frame]]] = {
    "one event": (b"data: a\n\n", [message("a")]),
    "CR ends lines": (b"data: a\r\rdata: b\r\r", [message("a"), message("b")]),
    "CRLF ends lines": (b"data: a\r\n\r\ndata: b\r\n\r\n", [message("a"), message("b")]),
    "mixed line ends": (b"data: a\rdata: b\ndata: c\r\n\r\n", [message("a\nb\nc")]),
    "LF after CR is one line end": (b"data: a\r\ndata: b\r\n\r\n", [message("a\nb")]),
    "CR then CRLF is an empty line": (b"data: a\r\r\ndata: b\n\n", [message("a"), message("b")]),
    "no space after the colon": (b"data:a\n\n", [message("a")]),
    "only one space goes": (b"data:  a \n\n", [message(" a ")]),
    "a tab stays": (b"data:\ta\n\n", [message("\ta")]),
    "colons in the value": (b"data: a: b:c\n\n", [message("a: b:c")]),
    "several data lines": (b"data: a\ndata:\ndata: b\n\n", [message("a\n\nb")]),
    "empty data": (b"data:\n\n", [message("")]),
    "data without colon": (b"data\n\n", [message("")]),
    "two empty data lines": (b"data\ndata\n\n", [message("\n")]),
    "comments are nothing": (b": hi\n:\ndata: a\n: there\n\n:\n\n", [message("a")]),
    "a comment between data lines": (b"data: a\n: x\ndata: b\n\n", [message("a\nb")]),
    "unknown fields are nothing": (b"foo: 1\nbar\ndata: a\n\n", [message("a")]),
    "field names are exact": (b"Data: x\n data: x\ndata : x\ndata: a\n\n", [message("a")]),
    "an event's name": (b"event: x\ndata: a\n\n", [message("a", event="x")]),
    "the last name counts": (b"event: x\nevent: y\ndata: a\n\n", [message("a", event="y")]),
    "an empty name": (b"event: x\nevent:\ndata: a\n\n", [message("a")]),
    "the name after the data": (b"data: a\nevent: x\n\n", [message("a", event="x")]),
    "a name does not carry over": (
        b"event: x\n\ndata: a\n\n",
        [message("a")],
    ),
    "no data, nothing to dispatch": (b"event: x\n\n\n\n", []),
    "an id": (b"id: 1\ndata: a\n\n", [message("a", "1")]),
    "id without data": (b"id: 1\n\n", [Frame("message", None, "1")]),
    "name and id without data": (b"event: x\nid: 1\n\n", [Frame("message", None, "1")]),
    "an empty id": (b"id\ndata: a\n\n", [message("a", "")]),
    "id with NUL": (b"id: 1\x002\ndata: a\n\n", [message("a")]),
    "id with NUL after a good one": (b"id: 1\nid: 2\x00\ndata: a\n\n", [message("a", "1")]),
    "the last id counts": (b"id: 1\nid: 2\ndata: a\n\n", [message("a", "2")]),
    "BOM": (b"\xef\xbb\xbfdata: a\n\n", [message("a")]),
    "one BOM only": (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\ndata: a\n\n", [message("a")]),
    "BOM in the middle": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [message("a")]),
    "half a BOM": (b"\xef\xbbdata: x\ndata: a\n\n", [message("a")]),
    "U+2028 and U+0085": (
        "data: a\u2028b\u0085c\u2029d\x0be\x0cf\x1cg\n\n".encode(),
        [message("a\u2028b\u0085c\u2029d\x0be\x0cf\x1cg")],
    ),
    "UTF-8": ("data: ä€😀\nid: ü\n\n".encode(), [message("ä€😀", "ü")]),
    "broken UTF-8": (b"data: a\xffb\xe2\x82\n\n", [message("a\ufffdb\ufffd")]),
    "NUL in data": (b"data: a\x00b\n\n", [message("a\x00b")]),
    "truncated event": (b"data: a\n\nid: 2\ndata: b\n", [message("a")]),
    "truncated line": (b"data: a\n\nid: 2\ndata: b", [message("a")]),
    "nothing": (b"", []),
    "empty lines": (b"\n\r\n\r\n\n", []),
    "more lines than a piece": (
        b"event: x\n" + b"data: a\n" * 200 + b"data:\n" * 100 + b"\n",
        [message("a\n" * 200 + "\n" * 99, event="x")],
    ),
}


@pytest.mark.parametrize("stream,frames", VECTORS.values(), ids=VECTORS)
def test_a_stream_is_read_by_the_rules(stream: bytes, frames: list[Frame]) -> None:
    assert read(stream) == frames


@pytest.mark.parametrize("stream,frames", VECTORS.values(), ids=VECTORS)
def test_reads_of_one_byte_change_nothing(stream: bytes, frames: list[Frame]) -> None:
    assert read(stream, *range(len(stream))) == frames


@pytest.mark.parametrize("stream,frames", VECTORS.values(), ids=VECTORS)
def test_a_read_may_end_anywhere(stream: bytes, frames: list[Frame]) -> None:
    for cut in range(min(len(stream), 64)):
        assert read(stream, cut) == frames, cut


ODD = [b"\x00", b"\xef\xbb\xbf", b"\xe2\x82\xac", b"\xe2", "\u2028".encode(), "\u0085".encode()]
PIECES = st.sampled_from(
    [
        *[b"data", b"event", b"id", b"retry", b":", b" ", b"1", b"x", *ODD],
        *[b"\n", b"\r", b"\r\n", b"\n\n", b"data: a\n", b"id: 7\n", b"event: e\n"],
    ]
)


def by_the_book(stream: bytes) -> list[Frame]:
    """The standard, written as it reads: all of the stream at once."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    frames: list[Frame] = []
    data, name, id_ = [], "", None
    for line in re.split("\r\n|\r|\n", text)[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                frames.append(Frame(name or "message", "\n".join(data), id_))
            elif id_ is not None:
                frames.append(Frame("message", None, id_))
            data, name, id_ = [], "", None
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            id_ = value
    return frames


@settings(max_examples=150, deadline=None, database=None)
@given(st.lists(PIECES, max_size=30).map(b"".join), st.lists(st.integers(0, 90), max_size=6))
def test_any_bytes_in_any_reads_give_what_the_standard_says(stream: bytes, cuts: list[int]) -> None:
    assert read(stream, *[min(cut, len(stream)) for cut in cuts]) == by_the_book(stream)


@pytest.mark.parametrize(
    "lines,retry_ms",
    [
        (b"retry: 1500\n", 1500),
        (b"retry: 1500\n\n", 1500),
        (b"retry: 10\nretry: 20\n", 20),
        (b"retry: 10\nretry: 1x\nretry: -5\nretry: 1.5\nretry:\n", 10),
        ("retry: \u0663\n".encode(), None),
        (b"retry: " + b"9" * 5000 + b"\n", None),
        (b"retry: 1500", None),
    ],
)
def test_only_digits_set_the_reconnection_time(lines: bytes, retry_ms: int | None) -> None:
    decoder = Decoder()
    assert list(decoder.feed(lines)) == []
    assert decoder.retry_ms == retry_ms


def test_the_last_id_stays_until_a_complete_frame_brings_another() -> None:
    decoder = Decoder()
    seen = []
    for part in (b"id: 1\ndata: a\n\n", b"data: b\n\n", b"id: 2\n\n", b"id: 3\ndata: c\n"):
        list(decoder.feed(part))
        seen.append(decoder.last_id)
    assert seen == ["1", "1", "2", "2"]


@pytest.mark.parametrize("step", [1 << 10, 1 << 16, 5 << 20])
def test_five_megabytes_are_read_in_linear_time(step: int) -> None:
    text = "x€" * 1_250_000
    stream = b"id: e.1\ndata: " + text.encode() + b"\n\n"
    decoder, started = Decoder(), time.thread_time()
    chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    assert frames == [message(text, "e.1")]
    # Measured 0.05 s; copying what is held at each read of 1 KiB takes over 2 s.
    assert time.thread_time() - started < 1.0


def test_many_lines_are_joined_in_linear_time() -> None:
    decoder, started = Decoder(), time.thread_time()
    line = "x" * 120
    (frame,) = decoder.feed(f"data: {line}\n".encode() * 40_000 + b"\n")
    assert frame.data == "\n".join([line] * 40_000)
    # Measured 0.1 s; sseclient-py in one piece takes 6 s.
    assert time.thread_time() - started < 1.5


@pytest.mark.parametrize(
    "stream",
    [b"data: " + b"x" * 200, b"data: 0123456789\n" * 10, b": " + b"x" * 200, b"x" * 200],
    ids=["line", "lines", "comment", "field"],
)
def test_an_event_over_the_limit_is_refused_after_those_before_it(stream: bytes) -> None:
    decoder, got = Decoder(max_event_bytes=100), []
    with pytest.raises(EventTooLarge, match="100 bytes"):
        got.extend(decoder.feed(b"data: first\n\n" + stream))
    assert got == [message("first")]


def test_comments_of_any_number_are_no_large_event() -> None:
    decoder = Decoder(max_event_bytes=100)
    assert list(decoder.feed(b": still here\n" * 1000)) == []
    assert list(decoder.feed(b"data: a\n\n")) == [message("a")]
