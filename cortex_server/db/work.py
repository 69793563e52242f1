"""The tables of agents at work: agents, runners, attempts, batches, triggers, memory."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from cortex_server.db.columns import Ordered, Position, actor, metadata, of, revisioned

_OrNull = JSON(none_as_null=True)


def _of_attempt(*, primary_key: bool = False) -> Column[str]:
    key = ForeignKey("attempts.id", ondelete="CASCADE")
    return Column("attempt", Text, key, nullable=False, primary_key=primary_key)


agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("adapter", Text, nullable=False),
    Column("capabilities", JSON, nullable=False),
    *revisioned(),
)

profiles = Table(
    "profiles",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("agent", Text, nullable=False),
    of("project", nullable=True, ondelete="CASCADE"),
    Column("options", JSON, nullable=False),
    *revisioned(),
)

runners = Table(
    "runners",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("parallel", Integer, nullable=False),
    Column("agents", JSON, nullable=False),
    Column("projects", _OrNull),
    Column("status", Text, nullable=False),
    Column("seen_at", Ordered, nullable=False),
    Column("lease_expires_at", Ordered, nullable=False),  # then it is offline, if it stays silent
    *revisioned(),
)

# A claim is a lease of its runner, which `generation` tells from earlier ones. Renewing it is no
# change of the attempt: it makes no revision and no event.
attempts = Table(
    "attempts",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    of("ticket"),
    Column("number", Integer, nullable=False),
    Column("agent", Text, nullable=False),
    Column("profile", Text),
    Column("status", Text, nullable=False),
    Column("stage", Text),
    Column("progress", Text),
    Column("prompt", Text),
    Column("base", Text),
    Column("branch", Text),
    Column("worktree", Text),
    Column("session", Text),
    Column("runner", Text),  # its name; stays when the runner is forgotten
    Column("generation", Integer, nullable=False),
    Column("lease_expires_at", Ordered),
    Column("todos", JSON, nullable=False),
    Column("git", _OrNull),
    Column("files", JSON, nullable=False),  # of the last git.status
    Column("pr", _OrNull),
    Column("compare_url", Text),
    Column("batch", Text, ForeignKey("batches.id", ondelete="SET NULL")),
    Column("retry_of", Text),
    Column("reason", Text),
    Column("exit_code", Integer),
    *actor("started_by"),
    *revisioned(),
    Column("started_at", Ordered),
    Column("ended_at", Ordered),
    UniqueConstraint("ticket", "number"),
    Index("ix_attempts_project_status_id", "project", "status", "id"),
    Index("ix_attempts_status_id", "status", "id"),
    Index("ix_attempts_status_lease_expires_at", "status", "lease_expires_at"),
    Index("ix_attempts_project_ended_at", "project", "ended_at"),
    Index("ix_attempts_project_id", "project", "id"),
    Index("ix_attempts_runner_id", "runner", "id"),
    Index("ix_attempts_batch", "batch"),
)

attempt_log = Table(
    "attempt_log",
    metadata,
    _of_attempt(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("tool", Text),
    Column("at", Ordered, nullable=False),
)

attempt_commits = Table(
    "attempt_commits",
    metadata,
    _of_attempt(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sha", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("at", Ordered, nullable=False),
    Column("files", Integer, nullable=False),
    Column("insertions", Integer, nullable=False),
    Column("deletions", Integer, nullable=False),
    UniqueConstraint("attempt", "sha"),
)

attempt_pushes = Table(
    "attempt_pushes",
    metadata,
    _of_attempt(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("remote", Text, nullable=False),
    Column("branch", Text, nullable=False),
    Column("sha", Text, nullable=False),
    Column("at", Ordered, nullable=False),
)

attempt_diffs = Table(
    "attempt_diffs",
    metadata,
    _of_attempt(primary_key=True),
    Column("base", Text, nullable=False),
    Column("head", Text),
    Column("text", Text, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("at", Ordered, nullable=False),
)

# The way from the server to a runner: what is not acknowledged is given out again.
runner_commands = Table(
    "runner_commands",
    metadata,
    Column("id", Text, primary_key=True),
    Column("runner", Text, nullable=False),
    _of_attempt(),
    Column("kind", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", Ordered, nullable=False),
    Column("acked_at", Ordered),
    Column("error", Text),
    Index("ix_runner_commands_runner_acked_at_id", "runner", "acked_at", "id"),
    Index("ix_runner_commands_attempt", "attempt"),
)

instances = Table(
    "instances",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    of("ticket"),
    Column("attempt", Text, ForeignKey("attempts.id", ondelete="CASCADE"), nullable=False),
    Column("runner", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("url", Text),
    Column("error", Text),
    Column("link", Text),
    Column("seen_at", Ordered, nullable=False),  # when the runner last spoke of it
    *revisioned(),
    UniqueConstraint("attempt"),
    Index("ix_instances_project_id", "project", "id"),
    Index("ix_instances_ticket_id", "ticket", "id"),
    Index("ix_instances_status_seen_at", "status", "seen_at"),
)

permissions = Table(
    "permissions",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    of("ticket"),
    Column("attempt", Text, ForeignKey("attempts.id", ondelete="CASCADE")),
    Column("session", Text, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("external_id", Text),
    Column("kind", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("options", JSON, nullable=False),
    Column("multiple", Boolean, nullable=False),
    Column("free_text", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("choices", _OrNull),
    Column("text", Text),
    *actor("asked_by"),
    *actor("answered_by", nullable=True),
    *revisioned(),
    UniqueConstraint("session", "external_id"),
    Index("ix_permissions_project_id", "project", "id"),
    Index("ix_permissions_project_state_id", "project", "state", "id"),
    Index("ix_permissions_state_id", "state", "id"),
    Index("ix_permissions_ticket_id", "ticket", "id"),
    Index("ix_permissions_attempt_state", "attempt", "state"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    Column("name", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("limit", Integer),
    Column("stop_on_failure", Boolean, nullable=False),
    Column("on_conflict", Text, nullable=False),
    Column("merge", Boolean, nullable=False),
    Column("agent", Text, nullable=False),
    Column("profile", Text),
    Column("prompt", Text),
    Column("status", Text, nullable=False),
    Column("branch", Text),
    Column("commit", Text),
    Column("pr_url", Text),
    Column("compare_url", Text),
    Column("reason", Text),
    Column("runner", Text),
    Column("generation", Integer, nullable=False),
    Column("lease_expires_at", Ordered),
    Column("cancelling", Boolean, nullable=False),  # until its last attempt has ended
    *actor("created_by"),
    *revisioned(),
    Column("started_at", Ordered),
    Column("ended_at", Ordered),
    Index("ix_batches_project_ended_at", "project", "ended_at"),
    Index("ix_batches_project_id", "project", "id"),
    Index("ix_batches_project_status_id", "project", "status", "id"),
    Index("ix_batches_status_id", "status", "id"),
)

batch_tickets = Table(
    "batch_tickets",
    metadata,
    Column("batch", Text, ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("ticket", Text, nullable=False),  # stays when the ticket is deleted
    Column("title", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Text),
    Column("error", Text),
    Column("files", JSON, nullable=False),
    Column("commit", Text),
    Index("ix_batch_tickets_ticket", "ticket"),
    Index("ix_batch_tickets_attempt", "attempt"),
)

triggers = Table(
    "triggers",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("on", JSON, nullable=False),
    Column("action", JSON, nullable=False),
    Column("secret", Text),  # what calls are signed with; never shown again
    Column("cursor", Position, nullable=False),
    Column("fired", Integer, nullable=False),
    Column("last_fired_at", Ordered),
    Column("last_error", Text),
    Column("next_at", Ordered),
    *actor("created_by"),
    *revisioned(),
    UniqueConstraint("project", "name"),
    Index("ix_triggers_enabled_next_at", "enabled", "next_at"),
)

# What a trigger did, and which triggers led to it: so that none fires on its own effects, and the
# rate is known, also after a restart. Kept for as long as either may be asked.
trigger_firings = Table(
    "trigger_firings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("trigger", Text, ForeignKey("triggers.id", ondelete="CASCADE"), nullable=False),
    Column("effect", Text),  # the attempt, batch or call that came of it
    Column("chain", JSON, nullable=False),  # ids of triggers, this one last
    Column("at", Ordered, nullable=False),
    Index("ix_trigger_firings_trigger_at", "trigger", "at"),
    Index("ix_trigger_firings_effect", "effect"),
    Index("ix_trigger_firings_at", "at"),
)

# Calls that are to leave. One that was delivered or given up is kept for a while, to be looked at.
trigger_calls = Table(
    "trigger_calls",
    metadata,
    Column("id", Text, primary_key=True),  # sent along, so that the receiver knows a repetition
    Column("trigger", Text, ForeignKey("triggers.id", ondelete="CASCADE"), nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", Text, nullable=False),  # waiting, delivered, failed
    Column("tries", Integer, nullable=False),
    Column("next_at", Ordered),
    Column("answer", Text),
    Column("created_at", Ordered, nullable=False),
    Column("ended_at", Ordered),
    Index("ix_trigger_calls_ended_at", "ended_at"),
    Index("ix_trigger_calls_status_next_at", "status", "next_at"),
    Index("ix_trigger_calls_trigger_id", "trigger", "id"),
)

memories = Table(
    "memories",
    metadata,
    of("project"),
    Column("name", Ordered, nullable=False),
    Column("body", Text, nullable=False),
    *actor("author"),
    *revisioned(),
    PrimaryKeyConstraint("project", "name"),
)
