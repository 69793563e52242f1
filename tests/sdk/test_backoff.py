"""How long a stream waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortex_cli.sdk.backoff import Backoff
from cortex_cli.sdk.errors import Problem, StreamError, Unreachable, refusal

BROKEN = Unreachable("gone")


def delays(backoff: Backoff, count: int) -> list[float | None]:
    return [backoff.failed(BROKEN).retry_in for _ in range(count)]


def test_it_doubles_to_twelve_seconds_then_slows_down_for_ever() -> None:
    backoff = Backoff(None, lambda: 1.0)
    assert delays(backoff, 8) == [1.5, 3, 6, 12, 12, 12, 12, 12]
    assert delays(backoff, 2) == [30.0, 30.0]


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 30))
def test_the_jitter_is_full_and_the_slow_poll_keeps_its_period(drawn: float, count: int) -> None:
    last = delays(Backoff(None, lambda: drawn), count)[-1]
    assert last is not None
    if count <= 8:
        assert last == pytest.approx(min(12, 1.5 * 2 ** (count - 1)) * drawn)
    else:
        assert 27 <= last <= 30


def test_it_gives_up_after_the_allowed_attempts() -> None:
    backoff = Backoff(2, lambda: 1.0)
    lost = [backoff.failed(BROKEN) for _ in range(3)]
    assert [(one.attempt, one.of, one.final) for one in lost] == [
        (1, 2, False),
        (2, 2, False),
        (2, 2, True),
    ]


def test_what_no_retry_helps_is_final_at_once() -> None:
    assert Backoff(None, lambda: 1.0).failed(StreamError("no stream")).final
    assert not Backoff(None, lambda: 1.0).failed(StreamError("broke off", True)).final


def test_the_servers_retry_is_the_base_also_beyond_the_ceiling() -> None:
    backoff = Backoff(None, lambda: 1.0)
    backoff.hear(None)
    assert backoff.base_s == 1.5
    backoff.hear(20_000)
    assert delays(backoff, 2) == [20.0, 20.0]
    backoff.hear(999_999_999)
    assert backoff.base_s == 300.0


def test_retry_after_is_a_lower_bound() -> None:
    backoff = Backoff(None, lambda: 1.0)
    assert backoff.failed(refusal(Problem(503), retry_after=9)).retry_in == 9
    assert backoff.failed(refusal(Problem(503), retry_after=1)).retry_in == 3


def test_a_long_life_takes_the_wait_that_the_end_asks_for() -> None:
    backoff = Backoff(0, lambda: 1.0)
    assert [backoff.ended(0.2, lived_s=60) for _ in range(5)] == [0.2] * 5
    assert backoff.ended(None, lived_s=60) == 1.5
