"""The query of an address: known names, once each, in the declared shape."""

from functools import cache
from typing import cast
from urllib.parse import unquote_plus

from pydantic import ValidationError

from cortex_server.api import problems
from cortex_server.api.fields import M, faults


def parse_query(model: type[M], query: str) -> M:
    """The parameters as `model`. Raises Malformed, which names what is unknown, doubled or wrong.

    query: as it came, percent-encoded UTF-8 (checked before).
    """
    if not query:
        return cast(M, _without(model))
    found: dict[str, str] = {}
    for pair in query.split("&"):
        if not pair:
            continue
        raw_name, _, value = pair.partition("=")
        name = unquote_plus(raw_name)
        if name in found:
            raise problems.malformed([{"field": name[:100], "message": "may stand only once"}])
        found[name] = unquote_plus(value)
    return _checked(model, found)


def _checked(model: type[M], found: dict[str, str]) -> M:
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise problems.malformed(faults(error)) from None


@cache
def _without(model: type[M]) -> M:
    """What an address without parameters means; nobody changes it."""
    return _checked(model, {})
