"""Times as text that sorts as time does, and identifiers that sort as they were made."""

import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_server import ids
from cortex_server.clock import iso, later, parse_iso

TIMES = st.datetimes(timezones=st.just(UTC))


@given(TIMES, TIMES)
def test_texts_sort_as_their_times_do(one, other):
    assert (iso(one) < iso(other)) == (one < other)
    assert parse_iso(iso(one)) == one
    assert len(iso(one)) == 27


def test_a_time_of_another_zone_becomes_utc():
    zone = timezone(timedelta(hours=2))
    assert iso(datetime(2026, 1, 26, 17, 53, tzinfo=zone)) == "2026-01-26T15:53:00.000000Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-26T15:53:01Z", "2026-01-26T15:53:01.000000Z"),
        ("2026-01-26t15:53:01.5z", "2026-01-26T15:53:01.500000Z"),
        ("2026-01-26 15:53:01.123456789Z", "2026-01-26T15:53:01.123456Z"),
        ("2026-01-26T15:53:01+02:00", "2026-01-26T13:53:01.000000Z"),
        ("2026-01-26T15:53:01-00:30", "2026-01-26T16:23:01.000000Z"),
    ],
)
def test_a_time_is_read_as_rfc_3339_says(text, expected):
    assert iso(parse_iso(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-01-26", "2026-01-26T15:53:01", "2026-01-26T15:53Z", "2026-02-30T00:00:00Z",
        "2026-01-26T15:53:61Z", "2026-01-26T15:53:01+99:00", "٢٠٢٦-01-26T15:53:01Z",
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-26T15:53:01Z\n",
        "2026-01-26T15:53:01.Z", "20260126T155301Z", "2026-W05-1T00:00:00Z",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        parse_iso(text)


def test_later_crosses_midnight():
    assert later("2026-12-31T23:59:59.900000Z", 0.2) == "2027-01-01T00:00:00.100000Z"


def test_ids_are_uuids_of_version_7_and_sort_as_they_were_made():
    made = [ids.new_id() for _ in range(20_000)]
    assert made == sorted(set(made))
    parsed = uuid.UUID(made[0])
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert made[0] == str(parsed)


def test_ids_go_on_when_the_clock_is_put_back(monkeypatch):
    before = ids.new_id()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    after = ids.new_id()
    assert before < after
    assert uuid.UUID(after).version == 7


def test_secrets_are_long_and_their_hash_is_not_them():
    secrets = {ids.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(secret) == 47 and secret.isascii() for secret in secrets)
    hashed = ids.secret_hash("ctx_x")
    assert len(hashed) == 64
    assert hashed == ids.secret_hash("ctx_x") != ids.secret_hash("ctx_y")
