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
    """A mutation, the request that makes it (REST, without /api), and its events in order.

    request: "" for what the server does by itself.
    """

    mutation: str
    request: str
    steps: tuple[Step, ...]


# What a batch does next; each attempt and each ticket in the order of the batch.
_BATCH_GOES_ON = (
    Step("batch.ticket.cancelled", each="ticket that is given up with another one"),
    Step("attempt.started", each="ticket that there is room for"),
    Step("batch.ticket.started", each="such ticket, behind its attempt"),
    Step("batch.ticket.failed", each="ticket that no attempt can be started on"),
    Step("batch.merging", when="all were tried, and there is something to merge"),
    Step("batch.completed", when="all were tried, and nothing is to be merged"),
    Step("batch.failed", when="none was completed, or it stops on a failure"),
    Step("batch.cancelled", when="it was to be cancelled, and nothing of it runs any more"),
)
_NEW_LABELS = Step("label.created", each="named label that the project does not have")
# The end of an attempt takes along what belongs to it; then its batch goes on.
_CLOSED = (
    Step("permission.replied", each="question of it that is open"),
    Step("message.updated", each="message of its sessions that was streaming"),
    Step("session.ended", each="session of it, the last first"),
    Step("opencode.status", when="it had a server"),
    Step("batch.ticket.completed", when="it is of a batch and succeeded"),
    Step("batch.ticket.failed", when="it is of a batch and failed or is lost"),
    Step("batch.ticket.cancelled", when="it is of a batch and was cancelled"),
    *_BATCH_GOES_ON,
)


def _waiting(does: str) -> tuple[Step, ...]:
    return (
        Step("session.status", when=f"the session {does}"),
        Step("attempt.status", when=f"its attempt {does}, too"),
    )


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
    Emission(
        "start a session",
        "POST /tickets/REF/sessions",
        (Step("session.started"),
         Step("attempt.session", when="it belongs to an attempt")),
    ),
    Emission(
        "change a session",
        "PATCH /sessions/ID",
        (Step("session.updated", when="title, agent, model or parent changed"),
         Step("session.status", when="status, tool or work changed, or it was stale")),
    ),
    Emission(
        "a session at work says nothing for `session_silent_s`", "", (Step("session.status"),)
    ),
    Emission(
        "end a session",
        "POST /sessions/ID/end",
        (Step("message.updated", each="message that was streaming"),
         Step("session.ended"),
         Step("permission.replied", each="question of it that is open"),
         Step("attempt.status", when="its attempt waited for that only")),
    ),
    Emission("say something to an agent", "POST /sessions/ID/prompt", (Step("message.created"),)),
    Emission(
        "have an agent end its turn", "POST /sessions/ID/abort", (Step("message.created"),)
    ),
    Emission(
        "put a message",
        "PUT /sessions/ID/messages/MID",
        (Step("session.status", when="the session was stale"),
         Step("message.created", when="it is new"),
         Step("message.updated", when="more changed than the text of streaming parts growing")),
    ),
    Emission(
        "append to a message",
        "POST /sessions/ID/messages/MID/delta",
        (Step("message.delta", when="not logged, no id; only on streams with `deltas`"),),
    ),
    Emission(
        "text that was appended is stored", "", (Step("session.status", when="it was stale"),)
    ),
    Emission(
        "ask a person",
        "POST /sessions/ID/permissions",
        (Step("permission.asked", when="it was not asked before"), *_waiting("awaits input")),
    ),
    Emission(
        "answer a question, or withdraw it",
        "POST /permissions/ID/reply, POST /permissions/ID/withdraw",
        (Step("permission.replied", when="it was open"), *_waiting("goes on")),
    ),
    Emission(
        "add to an attempt's log", "POST /attempts/ID/log", (Step("attempt.log", each="entry"),)
    ),
    Emission(
        "change an attempt's todos",
        "PUT /attempts/ID/todos",
        (Step("attempt.todos", when="they differ"),),
    ),
    Emission(
        "tell how an attempt's worktree is",
        "PUT /attempts/ID/git/status",
        (Step("git.status", when="it differs"),),
    ),
    Emission(
        "tell of commits",
        "POST /attempts/ID/git/commits",
        (Step("git.commit", each="commit that was not known"),),
    ),
    Emission(
        "tell of a push",
        "POST /attempts/ID/git/pushes",
        (Step("git.push", when="it is not the last one again"),),
    ),
    Emission(
        "tell how a pull request is",
        "PUT /attempts/ID/pr",
        (Step("attempt.status", when="there is none yet, and the page to open it is new"),
         Step("attempt.pr", when="there is one that is new or changed, or its branch was merged"),
         Step("ticket.moved", when="it was merged, and the ticket stands before the column of "
              "`merged_moves_to`")),
    ),
    Emission(
        "tell how an agent's server is",
        "PUT /attempts/ID/instance",
        (Step("opencode.status", when="it is new or differs"),),
    ),
    Emission(
        "nothing is heard of the runner of an agent's server for 15 s, and for 60 s",
        "",
        (Step("opencode.status"),),
    ),
    Emission("create a profile", "POST /profiles", (Step("agent.profile"),)),
    Emission("change a profile", "PATCH /profiles/NAME", (Step("agent.profile"),)),
    Emission("delete a profile", "DELETE /profiles/NAME", (Step("agent.profile"),)),
    Emission(
        "register a runner",
        "POST /runners",
        (Step("runner.offline", when="another machine had its name, and nobody had said so yet"),
         Step("runner.online", when="it was offline, or what it says of itself changed",
              each="project that it serves; one without a project if it serves all"),
         Step("agent.registered", each="agent that is new or changed, also in who offers it")),
    ),
    Emission(
        "a runner's heartbeat",
        "POST /runners/ID/heartbeat",
        (Step("runner.online", when="it was offline"),
         Step("attempt.status", each="attempt that read as lost, and is renewed in time")),
    ),
    Emission(
        "a runner acknowledges a command",
        "POST /runners/ID/commands/CID/ack",
        (Step("attempt.log", when="it could not do it"),),
    ),
    Emission(
        "a runner leaves",
        "POST /runners/ID/leave",
        (Step("runner.offline", when="it was online", each="project, as above"),),
    ),
    Emission(
        "a runner is silent for the time of a lease",
        "",
        (Step("runner.offline", each="project, as above"),),
    ),
    Emission(
        "a runner that is away for 30 days is forgotten",
        "",
        (Step("agent.registered", each="agent that it offered"),),
    ),
    Emission("start an attempt", "POST /tickets/REF/attempts", (Step("attempt.started"),)),
    Emission(
        "claim an attempt",
        "POST /runners/ID/claim",
        (Step("runner.online", when="it was offline"),
         Step("session.started"),
         Step("attempt.session"),
         Step("attempt.status"),
         Step("ticket.moved", when="it stands before the column of `started_moves_to`")),
    ),
    Emission(
        "tell how an attempt goes on",
        "PATCH /attempts/ID",
        (Step("attempt.status", when="more changed than stage and progress"),
         Step("attempt.progress", when="stage or progress changed"),
         Step("session.status", when="it begins to run and its conversation was starting")),
    ),
    Emission(
        "stop an attempt",
        "POST /attempts/ID/stop",
        (Step("attempt.status", when="stopping; in the queue it is cancelled at once, as below"),),
    ),
    Emission(
        "end an attempt",
        "POST /attempts/ID/end",
        (Step("attempt.status"),
         Step("ticket.moved", when="it succeeded, and the ticket stands before the column of "
              "`succeeded_moves_to`"),
         *_CLOSED),
    ),
    Emission(
        "an attempt is lost: its lease has run out",
        "",
        (Step("attempt.status"),
         Step("attempt.log"),
         Step("comment.added"),
         *_CLOSED),
    ),
    Emission(
        "retry an attempt",
        "POST /attempts/ID/retry",
        (Step("attempt.started"),
         Step("batch.ticket.started", when="its batch still runs")),
    ),
    Emission(
        "create a batch",
        "POST /projects/KEY/batches",
        (Step("batch.created"),
         Step("batch.started", when="unless it is held"),
         *_BATCH_GOES_ON),
    ),
    Emission(
        "start a batch", "POST /batches/ID/start", (Step("batch.started"), *_BATCH_GOES_ON)
    ),
    Emission(
        "cancel a batch",
        "POST /batches/ID/cancel",
        (Step("batch.ticket.cancelled", each="ticket that has not begun"),
         Step("attempt.status", each="attempt of it that runs or waits in the queue"),
         Step("batch.ticket.cancelled", each="ticket whose attempt waited in the queue"),
         Step("batch.cancelled", when="nothing of it runs; else when the last attempt has ended")),
    ),
    Emission(
        "tell what became of a branch of a batch",
        "POST /batches/ID/merge",
        (Step("batch.ticket.skipped", when="it conflicts, and the batch goes on without it"),
         Step("batch.ticket.failed", when="it conflicts, and the batch fails with it"),
         Step("batch.failed", when="as above")),
    ),
    Emission(
        "end the merge of a batch",
        "POST /batches/ID/finish",
        (Step("batch.completed", when="by its status"),
         Step("batch.failed", when="by its status, or because all of its branches conflict")),
    ),
    Emission(
        "a trigger fires",
        "",
        (Step("attempt.started", when="it starts an attempt"),
         Step("batch.created", when="it runs a batch; then as creating one does"),
         Step("trigger.fired")),
    ),
    Emission(
        "fire a trigger by hand",
        "POST /triggers/ID/test",
        (Step("trigger.fired", when="behind what it does, as above"),),
    ),
    Emission(
        "keep a text in the memory", "PUT /projects/KEY/memory/NAME", (Step("memory.changed"),)
    ),
    Emission(
        "delete a text of the memory",
        "DELETE /projects/KEY/memory/NAME",
        (Step("memory.changed"),),
    ),
    Emission(
        "change a setting",
        "PATCH /settings, PATCH /projects/KEY/settings",
        (Step("settings.updated"),),
    ),
)  # fmt: skip
