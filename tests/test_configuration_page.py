"""docs/configuration.md names every setting with the default that it has."""

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from cortex_server.config import Config

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) ?\| ", PAGE.read_text(encoding="utf-8"), re.M))
COMPUTED = {"CORTEX_DATA_DIR", "CORTEX_DATABASE_URL"}


def variable(name):
    return "WEB_CONCURRENCY" if name == "workers" else f"CORTEX_{name.upper()}"


def test_no_setting_is_missing_and_none_is_made_up():
    assert set(ROWS) == {variable(field.name) for field in fields(Config)}


@pytest.mark.parametrize("field", fields(Config), ids=lambda field: field.name)
def test_the_default_is_the_one_in_the_code(field):
    name = variable(field.name)
    if name in COMPUTED or field.default is MISSING:
        return
    shown = ROWS[name].strip("`")
    if isinstance(field.default, bool):
        assert shown == str(int(field.default))
    elif isinstance(field.default, (int, float)):
        assert float(shown) == field.default
    else:
        assert shown == (field.default or "")
