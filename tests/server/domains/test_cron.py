"""Schedules of five fields."""

from datetime import UTC, datetime

import pytest

from cortex_server.domains import cron

MONDAY = datetime(2026, 1, 26, 15, 53, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("* * * * *", "2026-01-26 15:54"),
        ("*/5 * * * *", "2026-01-26 15:55"),
        ("5/20 * * * *", "2026-01-26 16:05"),
        ("53 15 * * *", "2026-01-27 15:53"),
        ("0 9-17/4 * * *", "2026-01-26 17:00"),
        ("0 9 * * MON-fri", "2026-01-27 09:00"),
        ("0 0 * * 7", "2026-02-01 00:00"),
        ("0 0 * * 0", "2026-02-01 00:00"),
        ("30 3 1,15 feb *", "2026-02-01 03:30"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("0 0 13 * fri", "2026-01-30 00:00"),
        ("0 0 13 * *", "2026-02-13 00:00"),
        ("0 0 */2 * mon", "2026-02-09 00:00"),
    ],
)
def test_the_next_time(text, due):
    found = cron.after(text, MONDAY)
    assert found.strftime("%Y-%m-%d %H:%M") == due


def test_a_time_is_not_its_own_next_one():
    due = datetime(2026, 1, 26, 16, 0, tzinfo=UTC)
    assert cron.after("0 * * * *", due).hour == 17


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
        "* * * * 8", "a * * * *", "*/0 * * * *", "5-1 * * * *", "1,,2 * * * *", "-1 * * * *",
        "*-5 * * * *", "1- * * * *", "1/ * * * *", "0 0 30 2 *", "@daily", "٣ * * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text):
    with pytest.raises(ValueError, match=r"field|no |names a day"):
        cron.after(text, MONDAY)
