"""The text that an agent begins with: the ticket, what was said beside it, the project's memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_MEMORY_MAX = 32_768  # characters of all of it; the rest is there for `cortex memory`


def prompt_for(
    ticket: Mapping[str, Any],
    attempt: Mapping[str, Any],
    profile: Mapping[str, Any] | None,
    memories: Iterable[Mapping[str, Any]] = (),
) -> str:
    """Return the whole text for the agent."""
    options = (profile or {}).get("options") or {}
    said = [f"# {ticket['key']}: {ticket['title']}", str(ticket.get("body") or "").strip()]
    said += [str(options.get("prompt") or "").strip(), str(attempt.get("prompt") or "").strip()]
    known = _known(memories)
    if known:
        said += ["## What this project remembers", known]
    said.append(
        "You are in a git worktree of your own, on a branch of your own. Commit what you finish. "
        f"The board knows this ticket as {ticket['key']}: `cortex comment add` and "
        "`cortex review request` work from your shell."
    )
    return "\n\n".join(part for part in said if part) + "\n"


def _known(memories: Iterable[Mapping[str, Any]]) -> str:
    told: list[str] = []
    left = _MEMORY_MAX
    for memory in memories:
        piece = f"### {memory['name']}\n\n{str(memory['body']).strip()}"
        left -= len(piece)
        if left < 0:
            told.append("There is more: `cortex memory list`.")
            break
        told.append(piece)
    return "\n\n".join(told)
