"""A ticket as a text that a person edits: what it begins as, and what was changed in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cortex_cli import tickets_file
from cortex_cli.editor import safe_to_edit

NEW: Mapping[str, Any] = {"type": "work", "priority": "none"}


def begin(ticket: Mapping[str, Any]) -> str:
    """Return the text of a ticket of the wire, without what could steer an editor's terminal."""
    return tickets_file.render_draft({name: _safe(value) for name, value in ticket.items()})


def differences(start: str, content: str) -> dict[str, Any]:
    """Return what `content` says otherwise than `start`, by the wire's names.

    Only that is sent: what could not be shown in the text is not lost.
    Raises BadTicketFile with the line and the reason.
    """
    before = tickets_file.parse_draft(start)
    after = tickets_file.parse_draft(content)
    if after["body"] == before["body"] + "\n":
        after["body"] = before["body"]  # editors end the last line, which is no change
    return {name: value for name, value in after.items() if before.get(name) != value}


def written(content: str) -> dict[str, Any]:
    """Return the fields of a new ticket.

    Raises BadTicketFile, also where there is neither a title nor a heading to take it from.
    """
    fields = tickets_file.parse_draft(content)
    if fields["title"] == tickets_file.UNTITLED and tickets_file.UNTITLED not in content:
        raise tickets_file.BadTicketFile(2, "a new ticket needs a title")
    return fields


def _safe(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_safe(item) for item in value]
    return safe_to_edit(value) if isinstance(value, str) else value
