"""Tickets as Markdown files: YAML front matter, then the body.

    ---
    id: 63e9ca04-0f75-424d-a271-7138eabbbaa0
    title: A title
    type: work
    tags: [api]
    created: 2026-01-26T15:53:01.717454Z
    ---
    The body, kept character for character.

Front matter exists only at the very first byte (after a byte order mark, which is dropped): a
`---` anywhere else belongs to the body. A key that is absent leaves the ticket's field as it is;
an empty one clears it. A file without front matter is all body, and its title is its first
heading, or else its name.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import yaml

TYPES = ("work", "debug", "research", "chore")
PRIORITIES = ("none", "low", "medium", "high", "urgent")
KEYS = (
    "id", "title", "type", "tags", "priority", "assignee", "due",
    "references", "archived", "created", "updated",
)  # fmt: skip
EDITABLE = (
    "title", "type", "status", "tags", "priority", "assignee", "due", "references", "depends_on",
)  # fmt: skip

UNTITLED = "Untitled"

_LONGEST_TITLE = 500
_LONGEST_BODY = 1_048_576
# The names of this project that the wire calls otherwise.
_WIRE: Mapping[str, str] = {"tags": "labels", "created": "created_at", "updated": "updated_at"}
_DELIMITER = re.compile(r"---[ \t]*(?:\r\n|\n|\Z)")
_CLOSING = re.compile(r"^---[ \t]*(?:\r\n|\n|\Z)", re.MULTILINE)
_ATX = re.compile(r" {0,3}#{1,6}(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
# Three hyphens below a line are rather a rule, or front matter in the wrong place.
_UNDERLINE = re.compile(r" {0,3}(?:=+|-{4,})[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
# Loading needs yaml's C library or a recursion; both give up far below this.
_LONGEST_FRONT_MATTER = 65_536


class BadTicketFile(Exception):
    """A file that cannot be a ticket; `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(frozen=True)
class TicketFile:
    """What a file says: `fields` by the wire's names, and the line on which each stands."""

    fields: dict[str, Any]
    lines: dict[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def parse(content: bytes, name: str, keys: tuple[str, ...] = KEYS) -> TicketFile:
    """Return the ticket that `content` describes.

    name: the file's name without its suffix, the title of last resort. keys: those of the front
    matter that count; the others are `unknown`.
    Raises BadTicketFile with the line and the reason.
    """
    text = _decode(content)
    opening = _DELIMITER.match(text)
    if opening is None:
        parsed = TicketFile({"body": text}, {"body": 1})
    else:
        parsed = _with_front_matter(text, opening.end(), keys)
    body = parsed.fields["body"]
    if len(body) > _LONGEST_BODY:
        raise BadTicketFile(1, f"the body has {len(body)} characters; {_LONGEST_BODY} is the most")
    if not parsed.fields.get("title"):
        parsed.fields["title"] = _derived_title(body, name)
    return parsed


def render(ticket: Mapping[str, Any]) -> bytes:
    """Return the file of a ticket of the wire: the same ticket, the same bytes.

    What is not set is left out. `parse` gives back every field that stands in it.
    """
    front: dict[str, Any] = {key: ticket[_WIRE.get(key, key)] for key in KEYS}
    if front["priority"] == "none":
        front["priority"] = None
    for key in ("due", "created", "updated"):
        front[key] = front[key] and _Time(front[key])
    kept = {key: value for key, value in front.items() if value not in (None, [], False)}
    return _file(kept, ticket["body"]).encode()


def render_draft(fields: Mapping[str, Any]) -> str:
    """Return a file for a person to edit: what can be edited, also where it is empty."""
    front = {key: fields.get(_WIRE.get(key, key)) or "" for key in EDITABLE}
    for key in ("tags", "references", "depends_on"):
        front[key] = list(front[key] or [])
    return _file(front, fields.get("body", ""))


def parse_draft(content: str) -> dict[str, Any]:
    """Return the fields, by the wire's names, of what a person wrote.

    Raises BadTicketFile, also for a key that is none: a misspelt one would change nothing.
    """
    parsed = parse(content.encode(), "", EDITABLE)
    for key in parsed.unknown:
        found = re.search(rf"^[\"']?{re.escape(key)}[\"']?[ \t]*:", content, re.MULTILINE)
        line = content.count("\n", 0, found.start()) + 1 if found else 1
        raise BadTicketFile(line, f"there is no {key!r}; there are {', '.join(EDITABLE)}")
    return parsed.fields


def _file(front: Mapping[str, Any], body: str) -> str:
    width = float("inf")  # no value is folded
    header = yaml.dump(front, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width)
    return f"---\n{header}---\n{body}"


class _Time(str):
    """A date or a time: written without quotes, as YAML's own are."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # PyYAML folds line separators away inside single quotes; double quotes escape them.
    style = None if text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_time(dumper: yaml.SafeDumper, at: _Time) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:timestamp", at)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(_Time, _represent_time)


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadTicketFile(line, f"byte {error.start} is not UTF-8") from None
    if "\0" in text:
        raise BadTicketFile(text.count("\n", 0, text.index("\0")) + 1, "a NUL character")
    return text.removeprefix("\ufeff")


def _with_front_matter(text: str, start: int, keys: tuple[str, ...]) -> TicketFile:
    closing = _CLOSING.search(text, start)
    if closing is None:
        raise BadTicketFile(
            1, "front matter is opened here and never closed (a rule? put an empty line before it)"
        )
    source = text[start : closing.start()]
    fields, lines, unknown = _read_fields(source, keys)
    fields["body"] = text[closing.end() :]
    lines["body"] = text.count("\n", 0, closing.end()) + 1
    return TicketFile(fields, lines, unknown)


def _read_fields(
    source: str, keys: tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, int], tuple[str, ...]]:
    fields: dict[str, Any] = {}
    lines: dict[str, int] = {}
    unknown: list[str] = []
    for key_node, value_node in _mapping(source):
        line = key_node.start_mark.line + 2  # yaml counts from 0, and one line is the delimiter
        if not isinstance(key_node, yaml.ScalarNode):
            raise BadTicketFile(line, "a key must be a word")
        key = str(key_node.value)
        if key not in keys:
            unknown.append(key)
            continue
        wire = _WIRE.get(key, key)
        if wire in lines:
            raise BadTicketFile(line, f"{key} is given twice")
        lines[wire] = line
        fields[wire] = _READERS[key](_Value(key, value_node, line))
    return {k: v for k, v in fields.items() if v is not _ABSENT}, lines, tuple(unknown)


def _mapping(source: str) -> list[tuple[yaml.Node, yaml.Node]]:
    """Return the pairs of the front matter as nodes, which know their lines."""
    if len(source) > _LONGEST_FRONT_MATTER:
        raise BadTicketFile(
            1, f"the front matter is longer than {_LONGEST_FRONT_MATTER} characters"
        )
    try:
        # Composed, not loaded: nothing is constructed, and a title such as 1.10 stays as written.
        root = yaml.compose(source, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = source.count("\n", 0, error.position) + 2
        raise BadTicketFile(line, "a character that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        raise _refused_by_yaml(error) from None
    except (yaml.YAMLError, RecursionError):
        raise BadTicketFile(1, "front matter that cannot be read as YAML") from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        line = root.start_mark.line + 2
        raise BadTicketFile(line, "front matter must be lines of the form `key: value`")
    return list(root.value)


def _refused_by_yaml(error: yaml.MarkedYAMLError) -> BadTicketFile:
    mark = error.problem_mark or error.context_mark
    line = (mark.line if mark else 0) + 2
    problem = error.problem or error.context or "invalid YAML"
    if "mapping values are not allowed" in problem:
        problem += " (a value with a colon needs quotes)"
    return BadTicketFile(line, problem)


_ABSENT = object()  # a key whose empty value means: not given


@dataclass(frozen=True)
class _Value:
    key: str
    node: yaml.Node
    line: int

    @property
    def empty(self) -> bool:
        node = self.node
        return isinstance(node, yaml.ScalarNode) and (
            node.tag == "tag:yaml.org,2002:null" or node.value == ""
        )

    def text(self) -> str:
        """Return the scalar as it was written, whatever YAML takes it for."""
        if not isinstance(self.node, yaml.ScalarNode):
            raise BadTicketFile(self.line, f"{self.key} must be a single value")
        return str(self.node.value)

    def texts(self) -> list[str]:
        """Return a list of scalars; one scalar is a list of one."""
        if self.empty:
            return []
        if not isinstance(self.node, yaml.SequenceNode):
            return [self.text()]
        items = [_Value(self.key, item, item.start_mark.line + 2) for item in self.node.value]
        return [item.text() for item in items if not item.empty]

    def refuse(self, reason: str) -> BadTicketFile:
        return BadTicketFile(self.line, reason)


def _read_id(value: _Value) -> object:
    if value.empty:
        return _ABSENT
    try:
        return str(uuid.UUID(value.text().strip()))
    except ValueError:
        raise value.refuse("id must be a UUID") from None


def _read_title(value: _Value) -> object:
    title = "" if value.empty else value.text()
    if not title.strip():
        return _ABSENT
    if len(title) > _LONGEST_TITLE:
        raise value.refuse(f"the title has {len(title)} characters; {_LONGEST_TITLE} is the most")
    return title


def _one_of(allowed: tuple[str, ...], empty: str) -> Any:
    def read(value: _Value) -> str:
        found = empty if value.empty else value.text().strip()
        if found not in allowed:
            raise value.refuse(f"{value.key} must be one of {', '.join(allowed)}; it is {found!r}")
        return found

    return read


def _read_tags(value: _Value) -> list[str]:
    single = isinstance(value.node, yaml.ScalarNode)
    found = value.text().split(",") if single and not value.empty else value.texts()
    return sorted({tag.strip() for tag in found if tag.strip()})


def _read_status(value: _Value) -> object:
    return _ABSENT if value.empty else value.text().strip()


def _read_assignee(value: _Value) -> str | None:
    return None if value.empty else value.text()


def _read_due(value: _Value) -> str | None:
    if value.empty:
        return None
    found = value.text().strip()
    try:
        return date.fromisoformat(found[:10]).isoformat()
    except ValueError:
        raise value.refuse("due must be a date, YYYY-MM-DD") from None


def _read_archived(value: _Value) -> bool:
    found = "false" if value.empty else value.text().strip().lower()
    if found not in ("true", "false"):
        raise value.refuse("archived must be true or false")
    return found == "true"


def _read_time(value: _Value) -> object:
    if value.empty:
        return _ABSENT
    try:
        found = datetime.fromisoformat(value.text().strip())
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)  # YAML's own rule
        return found.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        raise value.refuse(f"{value.key} must be a time such as 2026-01-26T15:53:01Z") from None


_READERS: dict[str, Any] = {
    "id": _read_id,
    "title": _read_title,
    "type": _one_of(TYPES, "work"),
    "tags": _read_tags,
    "priority": _one_of(PRIORITIES, "none"),
    "assignee": _read_assignee,
    "due": _read_due,
    "references": _Value.texts,
    "status": _read_status,
    "depends_on": _Value.texts,
    "archived": _read_archived,
    "created": _read_time,
    "updated": _read_time,
}


def _derived_title(body: str, name: str) -> str:
    title = " ".join((_first_heading(body) or name).split())
    return title[:_LONGEST_TITLE] or UNTITLED


def _first_heading(body: str) -> str | None:
    """Return the text of the first heading outside a block of code."""
    fence = ""
    previous = ""
    for line in re.split(r"\r\n|\n|\r", body):
        mark = _FENCE.fullmatch(line)
        if fence:
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            continue
        if mark:
            fence, previous = mark[1], ""
            continue
        heading = _ATX.fullmatch(line)
        if heading and heading[1] and heading[1].strip("# \t"):
            return heading[1]
        if previous.strip() and _UNDERLINE.fullmatch(line):
            return previous
        previous = "" if heading or line.startswith(("    ", "\t", ">")) else line
    return None
