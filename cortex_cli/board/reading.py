"""Reading JSON leniently: a missing or mistyped field becomes its empty value.

Only an object without an id is refused, with BadObject.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Json = Mapping[str, Any]
T = TypeVar("T")


class BadObject(ValueError):
    """What came is not the object it should be."""


def text(data: Json, name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def optional(data: Json, name: str) -> str | None:
    value = data.get(name)
    return value if isinstance(value, str) else None


def whole(data: Json, name: str) -> int:
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def texts(data: Json, name: str) -> tuple[str, ...]:
    value = data.get(name)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def id_of(data: object) -> str:
    if not isinstance(data, Mapping) or not isinstance(data.get("id"), str) or not data["id"]:
        raise BadObject("an object without an id")
    return str(data["id"])


def actor(data: Json, name: str) -> str:
    found = data.get(name)
    return text(found, "name") if isinstance(found, Mapping) else ""


def each(data: Json, name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
    value = data.get(name)
    return tuple(read(item) for item in value) if isinstance(value, list) else ()


def maybe(data: Json, name: str, read: Callable[[Any], T]) -> T | None:
    """An object that may be absent."""
    value = data.get(name)
    return read(value) if isinstance(value, Mapping) else None
