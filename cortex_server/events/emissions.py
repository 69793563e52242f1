"""Which mutation emits which events, in which order.

docs/events.md prints this table; the test of the catalogue walks it. Every event of a mutation has
a position of its own, and all of them become visible at once.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One event type. when: under which condition, "" for always · each: once for every …"""

    event: str
    when: str = ""
    each: str = ""


@dataclass(frozen=True)
class Emission:
    """A mutation, the request that makes it (REST, without /api), and its events in order."""

    mutation: str
    request: str
    steps: tuple[Step, ...]


_NEW_LABELS = Step("label.created", each="named label that the project does not have")

EMISSIONS: tuple[Emission, ...] = (
    Emission("create a team", "POST /teams", (Step("team.created"),)),
    Emission("change a team", "PATCH /teams/KEY", (Step("team.updated"),)),
    Emission(
        "delete a team",
        "DELETE /teams/KEY",
        (Step("project.updated", each="project of the team (its team becomes null)"),
         Step("team.deleted")),
    ),
    Emission("create a project", "POST /projects", (Step("project.created"),)),
    Emission(
        "change a project",
        "PATCH /projects/KEY",
        (Step("ticket.moved", each="ticket of a removed column"), Step("project.updated")),
    ),
    Emission(
        "delete a project",
        "DELETE /projects/KEY",
        (Step("project.deleted", when="all that was in it goes with it, without events"),),
    ),
    Emission("create a label", "POST /projects/KEY/labels", (Step("label.created"),)),
    Emission(
        "change a label",
        "PATCH /labels/ID",
        (Step("label.updated"),
         Step("ticket.updated", when="the name changed", each="ticket that carries it")),
    ),
    Emission(
        "delete a label",
        "DELETE /labels/ID",
        (Step("ticket.unlabeled", each="ticket that carries it"), Step("label.deleted")),
    ),
    Emission(
        "create a ticket", "POST /projects/KEY/tickets", (_NEW_LABELS, Step("ticket.created"))
    ),
    Emission(
        "change a ticket, archive or restore it",
        "PATCH /tickets/REF",
        (_NEW_LABELS,
         Step("ticket.updated", when="a field other than labels and status changed"),
         Step("ticket.unlabeled", each="label that it lost"),
         Step("ticket.labeled", each="label that it got"),
         Step("ticket.moved", when="its status changed")),
    ),
    Emission("move a ticket", "POST /tickets/REF/move", (Step("ticket.moved"),)),
    Emission(
        "give a ticket a label", "POST /tickets/REF/labels", (_NEW_LABELS, Step("ticket.labeled"))
    ),
    Emission(
        "take a label from a ticket", "DELETE /tickets/REF/labels/NAME", (Step("ticket.unlabeled"),)
    ),
    Emission(
        "import tickets",
        "POST /projects/KEY/tickets/import",
        (Step("ticket.created", when="as creating it does", each="new id"),
         Step("ticket.updated", when="as changing it does", each="known id that differs")),
    ),
    Emission(
        "delete a ticket",
        "DELETE /tickets/REF",
        (Step("ticket.updated", each="ticket that depends on it"),
         Step("ticket.deleted", when="all that was on it goes with it, without events")),
    ),
    Emission("add a comment", "POST /tickets/REF/comments", (Step("comment.added"),)),
    Emission("edit a comment", "PATCH /comments/ID", (Step("comment.updated"),)),
    Emission("delete a comment", "DELETE /comments/ID", (Step("comment.deleted"),)),
    Emission("ask for a review", "POST /tickets/REF/reviews", (Step("review.requested"),)),
    Emission("answer or reopen a review", "PATCH /reviews/ID", (Step("review.resolved"),)),
    Emission("start a session", "POST /tickets/REF/sessions", (Step("session.started"),)),
    Emission(
        "change a session",
        "PATCH /sessions/ID",
        (Step("session.updated", when="title, agent, model or parent changed"),
         Step("session.status", when="status, tool or work changed")),
    ),
    Emission(
        "end a session",
        "POST /sessions/ID/end",
        (Step("message.updated", each="message that was streaming"), Step("session.ended")),
    ),
    Emission(
        "put a message",
        "PUT /sessions/ID/messages/MID",
        (Step("message.created", when="it is new"),
         Step("message.updated", when="more changed than the text of streaming parts growing")),
    ),
    Emission(
        "append to a message",
        "POST /sessions/ID/messages/MID/delta",
        (Step("message.delta", when="not logged, no id; only on streams with `deltas`"),),
    ),
    Emission(
        "change a setting",
        "PATCH /settings, PATCH /projects/KEY/settings",
        (Step("settings.updated"),),
    ),
)  # fmt: skip
