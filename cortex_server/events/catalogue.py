"""Every event type, declared once: name, payload, meaning, and who may see it.

From here come the check at emission, docs/events.md, the AsyncAPI document, the completion of
`--types`, and the test that every type reaches a real subscriber.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from pydantic import BaseModel

from cortex_server.events import objects, payloads, work


class Audience(Enum):
    """Who may read an event that belongs to no project. One of a project reaches its readers."""

    EVERYONE = "everyone"
    ADMINS = "admins"


@dataclass(frozen=True)
class EventType:
    name: str
    payload: type[BaseModel]
    meaning: str
    audience: Audience = Audience.ADMINS
    ephemeral: bool = False


EVENTS: dict[str, EventType] = {}


def _declare(
    name: str,
    payload: type[BaseModel],
    meaning: str,
    audience: Audience = Audience.ADMINS,
    ephemeral: bool = False,
) -> None:
    EVENTS[name] = EventType(name, payload, meaning, audience, ephemeral)


_declare("team.created", objects.Team, "A team was created.", Audience.EVERYONE)
_declare("team.updated", objects.Team, "A team's name or color changed.", Audience.EVERYONE)
_declare(
    "team.deleted", payloads.Keyed, "A team was deleted; its projects stay.", Audience.EVERYONE
)
_declare("project.created", objects.Project, "A project was created.")
_declare("project.updated", objects.Project, "A project's fields or columns changed.")
_declare("project.deleted", payloads.Keyed, "A project was deleted with all that is in it.")
_declare("label.created", objects.Label, "A label was created.")
_declare("label.updated", objects.Label, "A label's name, color or priority changed.")
_declare("label.deleted", payloads.DeletedLabel, "A label was deleted.")
_declare("ticket.created", objects.Ticket, "A ticket was created or imported.")
_declare(
    "ticket.updated",
    payloads.ChangedTicket,
    "A ticket's fields changed, or it was archived or restored.",
)
_declare("ticket.deleted", payloads.Keyed, "A ticket was deleted with all that is on it.")
_declare("ticket.moved", payloads.ChangedTicket, "A ticket changed its column or its place in it.")
_declare("ticket.labeled", payloads.LabeledTicket, "A ticket got a label.")
_declare("ticket.unlabeled", payloads.LabeledTicket, "A ticket lost a label.")
_declare("comment.added", objects.Comment, "A comment was added to a ticket.")
_declare("comment.updated", objects.Comment, "A comment was edited.")
_declare("comment.deleted", payloads.DeletedComment, "A comment was deleted.")
_declare("review.requested", objects.Review, "Somebody asks for a review of a ticket's work.")
_declare(
    "review.resolved", objects.Review, "A review was approved, sent back, dismissed or reopened."
)
_declare("session.started", objects.Session, "A conversation with an agent began.")
_declare("session.updated", objects.Session, "A session's title, agent, model or parent changed.")
_declare("session.status", objects.Session, "A session's status, tool or work changed.")
_declare("session.ended", objects.Session, "A session ended.")
_declare("message.created", objects.Message, "A session got a new message.")
_declare(
    "message.updated", objects.Message, "A message or one of its parts was completed or changed."
)
_declare("message.delta", payloads.Delta, "Text was appended to a streaming part.", ephemeral=True)
_declare("permission.asked", work.Permission, "An agent asks a person something.")
_declare("permission.replied", work.Permission, "A question was answered, or is no longer asked.")
_declare("attempt.started", work.Attempt, "An attempt was put in the queue.")
_declare("attempt.status", work.Attempt, "An attempt's status changed.")
_declare(
    "attempt.progress",
    payloads.AttemptProgress,
    "An attempt's runner came to another stage, or says how far it is.",
)
_declare("attempt.log", work.LogEntry, "An attempt's log got an entry.")
_declare("attempt.session", payloads.AttemptSession, "An attempt got a conversation.")
_declare("attempt.todos", payloads.AttemptTodos, "An attempt's list of todos changed.")
_declare("attempt.pr", payloads.AttemptPr, "A pull request was opened, merged or closed.")
_declare("git.status", payloads.AttemptGit, "What changed in an attempt's worktree.")
_declare("git.commit", work.GitCommit, "A commit was made in an attempt's worktree.")
_declare("git.push", work.GitPush, "An attempt's branch was pushed.")
_declare(
    "agent.registered",
    work.Agent,
    "A runner offers an agent that was not known, or that changed.",
    Audience.EVERYONE,
)
_declare(
    "agent.profile",
    payloads.ChangedProfile,
    "A profile was created, changed or deleted.",
    Audience.EVERYONE,
)
_declare(
    "runner.online",
    work.Runner,
    "A runner is there. One event for each project of a runner that serves only some.",
    Audience.EVERYONE,
)
_declare(
    "runner.offline",
    work.Runner,
    "A runner has left or is silent. One event for each project, as above.",
    Audience.EVERYONE,
)
_declare("opencode.status", work.Instance, "An agent's server, or the link to it, changed.")
_declare("batch.created", work.Batch, "A batch was created.")
_declare("batch.started", work.Batch, "A batch begins to run.")
_declare("batch.ticket.started", work.BatchTicket, "A batch started an attempt on a ticket.")
_declare("batch.ticket.completed", work.BatchTicket, "A ticket's attempt succeeded.")
_declare("batch.ticket.failed", work.BatchTicket, "A ticket failed, or conflicts with others.")
_declare("batch.ticket.skipped", work.BatchTicket, "A ticket was left out: its work conflicts.")
_declare("batch.ticket.cancelled", work.BatchTicket, "A ticket of a batch was given up.")
_declare("batch.merging", work.Batch, "A batch's branches are to be merged.")
_declare("batch.completed", work.Batch, "A batch is done.")
_declare("batch.failed", work.Batch, "A batch failed.")
_declare("batch.cancelled", work.Batch, "A batch was cancelled.")
_declare("trigger.fired", payloads.Fired, "A trigger did what it is for.")
_declare("memory.changed", payloads.ChangedMemory, "A project's memory changed.")
_declare("settings.updated", objects.Settings, "A setting changed, of the server or of a project.")


def validate(name: str, payload: BaseModel | dict[str, Any]) -> BaseModel:
    """The payload as its declared model. Raises KeyError or pydantic's ValidationError: our bug."""
    model = EVENTS[name].payload
    if type(payload) is model:
        return payload
    fields = payload.model_dump() if isinstance(payload, BaseModel) else payload
    return model.model_validate(fields)
