"""The dashboard as it comes, by its stream or fetched without it, as values."""

from collections.abc import Mapping
from typing import Any

from cortex_cli.board.value import Value


class Overview(Value):
    """The dashboard as of now: a frame of its stream, or (fetched) the answer to LoadOverview."""

    stream: int
    body: Mapping[str, Any]
    fetched: bool = False


class LoadOverview(Value):
    """Fetch the dashboard. stream: that of the dashboard which is shown."""

    stream: int
