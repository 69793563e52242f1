"""What a test needs from the machine: found, or a reason; in CI a missing one is a failure."""

import os
import shutil
from typing import NoReturn

import pytest


def program(*names: str) -> str:
    """Return the path of the first of `names` that is installed.

    Otherwise the calling test is skipped, or fails where CORTEX_TEST_REQUIRE_ALL is 1.
    """
    for name in names:
        if path := shutil.which(name):
            return path
    missing(f"{' or '.join(names)} is not installed (scripts/test installs it when run by root)")


def chromium() -> str:
    """Return the path of a Chromium, as `program` does."""
    return program("chromium", "chromium-browser", "google-chrome")


def missing(reason: str) -> NoReturn:
    """Skip the calling test for `reason`, or fail it where CORTEX_TEST_REQUIRE_ALL is 1."""
    if os.environ.get("CORTEX_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
