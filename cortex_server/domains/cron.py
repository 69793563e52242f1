"""Schedules of five fields, as cron has them, in UTC."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

_FIELDS = 5


def after(text: str, moment: datetime) -> datetime:
    """The first time of a schedule after `moment`.

    Raises ValueError, which says what is wrong with the schedule.
    """
    if len(text.split()) != _FIELDS:
        raise ValueError(
            "takes five fields: minute, hour, day of the month, month, day of the week"
        )
    try:
        # It goes by whole seconds.
        return next(CronSim(text, moment.astimezone(UTC).replace(microsecond=0)))
    except CronSimError as error:
        raise ValueError(f"is no schedule: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError("names a day that no year has") from None
