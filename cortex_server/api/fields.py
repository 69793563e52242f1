"""The shapes of bodies and queries: strict, closed, and refused in plain words.

A field that may be absent is declared `= absent()`; a handler gets only what was given, so that
null (clear it) and absent (leave it) differ.
"""

import base64
import re
from collections.abc import Sequence
from datetime import date
from types import NoneType
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from cortex_server.api.parsing import parse_json
from cortex_server.clock import iso, parse_iso
from cortex_server.errors import Malformed

TEXT_MAX = 1_048_576
INT_MAX = 2**31 - 1
PAGE_MAX = 500
_CURSOR_MAX = 2048
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Body(BaseModel):
    """The JSON object of a request."""

    model_config = ConfigDict(strict=True, extra="forbid")

    def given(self) -> dict[str, Any]:
        """The fields that the request named, without the revision."""
        return self.model_dump(exclude_unset=True, exclude={"revision"})


class RevisedBody(Body):
    """A change that may name the revision that it was made against."""

    revision: int | None = Field(
        default=None,
        ge=1,
        le=INT_MAX,
        description="The revision that this change was made against; another one is refused.",
    )


class Query(BaseModel):
    """The parameters of an address; each may stand once."""

    model_config = ConfigDict(extra="forbid")


def absent() -> Any:
    """A field that need not be there; what was not given is never read."""
    # made, not given: the documents must not name a default that clients could rely on
    return Field(default_factory=NoneType)


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must not have line ends or other control characters")
    return text


def _pattern(expression: str, words: str) -> Any:
    compiled = re.compile(expression)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(words)
        return text

    return AfterValidator(check)


def _uuid(text: str) -> str:
    if not _UUID.fullmatch(text.lower()):
        raise ValueError("must be a UUID")
    return text.lower()


def _due(text: str) -> str:
    try:
        if len(text) == 10 and date.fromisoformat(text):
            return text
    except ValueError:
        pass
    raise ValueError("must be a date like 2026-01-31")


def _time(text: str) -> str:
    return iso(parse_iso(text))


def _digits(text: Any) -> int:
    # int() would also take 1_0, +1, and digits of other scripts
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError("must be a whole number in plain digits")
    return int(text)


def _flag(text: Any) -> bool:
    if text in ("1", "true"):
        return True
    if text in ("0", "false"):
        return False
    raise ValueError("must be true or false")


def _cursor(text: str) -> str:
    """Refuse what was never one of our cursors before the page reads it."""
    try:
        parse_json(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (ValueError, Malformed):
        raise ValueError("must be the next_cursor of the page before, unchanged") from None
    return text


NotBlank = AfterValidator(_not_blank)
# What people call a thing is typed again, in one line, to name it. Titles and texts, and what
# programs report, are taken as they are: whoever shows them cleans them.
OneLine = AfterValidator(_one_line)
_ONE_LINE = {"pattern": r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"}  # for the schema
Title = Annotated[str, Field(min_length=1, max_length=500), NotBlank]
Name = Annotated[
    str, Field(min_length=1, max_length=200, json_schema_extra=_ONE_LINE), NotBlank, OneLine
]
Reported = Annotated[str, Field(min_length=1, max_length=200), NotBlank]
Text = Annotated[str, Field(max_length=TEXT_MAX)]
FilledText = Annotated[str, Field(min_length=1, max_length=TEXT_MAX), NotBlank]
Line = Annotated[str, Field(min_length=1, max_length=2000), NotBlank]
Path = Annotated[str, Field(min_length=1, max_length=4096), NotBlank]
GitRef = Annotated[str, Field(min_length=1, max_length=255), NotBlank]
Color = Annotated[str, Field(min_length=1, max_length=64), NotBlank]
LabelName = Annotated[
    str, Field(min_length=1, max_length=64, json_schema_extra=_ONE_LINE), NotBlank, OneLine
]
Key = Annotated[
    str,
    Field(json_schema_extra={"pattern": "^[A-Za-z][A-Za-z0-9_-]{0,31}$"}),
    _pattern(
        r"[A-Za-z][A-Za-z0-9_-]{0,31}",
        "must begin with a letter and have at most 32 letters, digits, - or _",
    ),
]
ShortName = Annotated[
    str,
    Field(json_schema_extra={"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"}),
    _pattern(
        r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "must begin with a letter or digit and have at most 64 letters, digits, . _ or -",
    ),
]
ColumnName = Annotated[
    str,
    Field(json_schema_extra={"pattern": "^[a-z0-9][a-z0-9_-]{0,31}$"}),
    _pattern(r"[a-z0-9][a-z0-9_-]{0,31}", "must have at most 32 small letters, digits, - or _"),
]
Uuid = Annotated[str, Field(json_schema_extra={"format": "uuid"}), AfterValidator(_uuid)]
Due = Annotated[str, Field(json_schema_extra={"format": "date"}), AfterValidator(_due)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}), AfterValidator(_time)]
Position = Annotated[int, Field(ge=0, le=INT_MAX)]
Generation = Annotated[int, Field(ge=0, le=INT_MAX)]
SmallInt = Annotated[int, Field(ge=-INT_MAX, le=INT_MAX)]
LabelNames = Annotated[list[LabelName], Field(max_length=50)]
References = Annotated[list[Annotated[str, Field(max_length=2000)]], Field(max_length=100)]
TicketRef = Annotated[str, Field(min_length=1, max_length=64)]
TicketRefs = Annotated[list[TicketRef], Field(max_length=50)]

QueryInt = Annotated[int, BeforeValidator(_digits)]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class PageQuery(Query):
    """Which page of a list."""

    limit: Annotated[QueryInt, Field(ge=1, le=PAGE_MAX)] = Field(
        default=100, description="How many items at most."
    )
    cursor: Annotated[str, Field(max_length=_CURSOR_MAX), AfterValidator(_cursor)] | None = Field(
        default=None, description="The next_cursor of the page before."
    )


class RevisionQuery(Query):
    """The revision that a DELETE was decided on."""

    revision: Annotated[QueryInt, Field(ge=1, le=INT_MAX)] | None = Field(
        default=None, description="The revision that this was decided on; another one is refused."
    )


M = TypeVar("M", bound=BaseModel)


def faults(error: ValidationError) -> list[dict[str, str]]:
    """What pydantic refused, as {field, message}, without the values."""
    return [
        {"field": _field(fault["loc"]), "message": _words(fault)}
        for fault in error.errors(include_url=False, include_input=False)
    ]


_WORDS = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be one of {expected}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


def _field(location: Sequence[int | str]) -> str:
    """The path of a field; a name that came in is cut, it may be anything."""
    return ".".join(str(step)[:100] for step in location) or "body"


def _words(fault: Any) -> str:
    context = fault.get("ctx", {})
    if fault["type"] == "value_error":
        return str(context["error"])
    if fault["type"] == "string_too_short" and context.get("min_length") == 1:
        return "must not be empty"
    words = _WORDS.get(fault["type"])
    return words.format(**context) if words else str(fault["msg"]).lower()
