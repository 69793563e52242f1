"""Attempts of OpenCode; what needs the real one is not collected without it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.replays import Replays

_LIVE = ["test_opencode_live.py", "test_opencode_chain_live.py"]
collect_ignore = [] if os.environ.get("CORTEX_TEST_OPENCODE") else _LIVE


@pytest.fixture
def replays(tmp_path: Path) -> Iterator[Replays]:
    started = Replays(tmp_path)
    yield started
    started.close()
