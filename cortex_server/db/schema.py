"""The tables. Keys of teams, projects and tickets never change, so rows refer to them by key.

Those of agents at work are in `db.work`.
"""

from sqlalchemy import (
    DDL,
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
    event,
    func,
)

from cortex_server.db import search
from cortex_server.db.columns import Ordered, Position, actor, of, revisioned
from cortex_server.db.columns import metadata as metadata

log_state = Table(
    "log_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("epoch", Text, nullable=False),
    Column("head", Position, nullable=False),
    Column("floor", Position, nullable=False),
)

# Kept when a project is deleted: a key's numbers and seqs are never used twice.
project_counters = Table(
    "project_counters",
    metadata,
    Column("key", Text, primary_key=True),  # lower case
    Column("seq", Position, nullable=False),
    Column("tickets", Integer, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("position", Position, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("project", Text, nullable=False),  # "" for an event of no project
    Column("seq", Position),
    Column("ticket", Text),
    Column("at", Ordered, nullable=False),
    *actor("actor"),
    Column("payload", Text, nullable=False),
    Index("ix_events_project_position", "project", "position"),
)

teams = Table(
    "teams",
    metadata,
    Column("key", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("color", Text),
    *revisioned(),
)
Index("uq_teams_key_lower", func.lower(teams.c.key), unique=True)

projects = Table(
    "projects",
    metadata,
    Column("key", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    of("team", nullable=True, ondelete="SET NULL"),
    Column("repo_path", Text),
    Column("default_branch", Text, nullable=False),
    Column("columns", JSON, nullable=False),
    *revisioned(),
)
Index("uq_projects_key_lower", func.lower(projects.c.key), unique=True)

labels = Table(
    "labels",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    Column("name", Text, nullable=False),
    Column("name_folded", Text, nullable=False),
    Column("color", Text),
    Column("priority", Integer, nullable=False),
    *revisioned(),
    UniqueConstraint("project", "name_folded"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("key", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    of("project"),
    Column("number", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("rank", Ordered, nullable=False),
    Column("priority", Text, nullable=False),
    Column("assignee", Text),
    Column("due", Text),
    Column("references", JSON, nullable=False),
    Column("archived", Boolean, nullable=False),
    *revisioned(),
    UniqueConstraint("project", "number"),
    Index("ix_tickets_project_archived_status_rank", "project", "archived", "status", "rank"),
    # Lists go by number: with one of these a page costs the same whatever it skips.
    Index("ix_tickets_project_archived_number", "project", "archived", "number"),
    *(
        Index(f"ix_tickets_project_archived_{name}_number", "project", "archived", name, "number")
        for name in ("status", "assignee", "type", "priority")
    ),
)
Index("uq_tickets_key_lower", func.lower(tickets.c.key), unique=True)

ticket_labels = Table(
    "ticket_labels",
    metadata,
    Column("ticket", Text, ForeignKey("tickets.key", ondelete="CASCADE"), primary_key=True),
    Column("label", Text, ForeignKey("labels.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, nullable=False),  # of the ticket, which never changes
    Index("ix_ticket_labels_label_number", "label", "number"),
)

# When a ticket last entered a column; of the last days only, for the throughput of the dashboard.
arrivals = Table(
    "arrivals",
    metadata,
    of("project"),
    Column("status", Text, nullable=False),
    Column("ticket", Text, nullable=False),  # stays when the ticket is deleted
    Column("at", Ordered, nullable=False),
    PrimaryKeyConstraint("project", "status", "ticket"),
    Index("ix_arrivals_project_at_status", "project", "at", "status"),
)

ticket_dependencies = Table(
    "ticket_dependencies",
    metadata,
    Column("ticket", Text, ForeignKey("tickets.key", ondelete="CASCADE"), primary_key=True),
    Column("depends_on", Text, ForeignKey("tickets.key", ondelete="CASCADE"), primary_key=True),
    Index("ix_ticket_dependencies_depends_on", "depends_on"),
)

comments = Table(
    "comments",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    of("ticket"),
    *actor("author"),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
    *revisioned(),
    Index("ix_comments_ticket_id", "ticket", "id"),
    Index("ix_comments_project", "project"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    of("ticket"),
    Column("repo_path", Text),
    Column("branch", Text),
    Column("commit", Text),
    Column("summary", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("note", Text),
    *actor("requested_by"),
    *actor("resolved_by", nullable=True),
    *revisioned(),
    Index("ix_reviews_ticket_id", "ticket", "id"),
    Index("ix_reviews_project_id", "project", "id"),
    Index("ix_reviews_project_state_id", "project", "state", "id"),
    Index("ix_reviews_state_id", "state", "id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    of("project"),
    of("ticket"),
    Column("attempt", Text, ForeignKey("attempts.id", ondelete="SET NULL")),
    Column("parent_id", Text, ForeignKey("sessions.id", ondelete="SET NULL")),
    Column("title", Text, nullable=False),
    Column("agent", Text),
    Column("model", Text),
    Column("status", Text, nullable=False),
    Column("tool", Text),
    Column("work", Text),
    Column("outcome", Text),
    Column("stale", Boolean, nullable=False),
    Column("seen_at", Ordered, nullable=False),  # the last sign of life; no event tells it
    *actor("started_by"),
    *revisioned(),
    Column("ended_at", Ordered),
    Index("ix_sessions_ticket_id", "ticket", "id"),
    Index("ix_sessions_project_status", "project", "status"),
    Index("ix_sessions_project_created_at_id", "project", "created_at", "id"),
    Index("ix_sessions_created_at_id", "created_at", "id"),
    Index("ix_sessions_parent_id", "parent_id"),
    Index("ix_sessions_attempt", "attempt"),
    Index("ix_sessions_status_stale_seen_at", "status", "stale", "seen_at"),
)

messages = Table(
    "messages",
    metadata,
    Column("session", Text, ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    of("project"),
    of("ticket"),
    Column("number", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("parts", JSON, nullable=False),
    Column("status", Text, nullable=False),
    *revisioned(),
    UniqueConstraint("session", "number"),
    Index("ix_messages_ticket", "ticket"),
    Index("ix_messages_project", "project"),
)

# Text that deltas brought and `messages` does not hold yet, where several processes share it. No
# foreign key: checking it would lock the message, and rows without one are dropped twice a second.
live_deltas = Table(
    "live_deltas",
    metadata,
    Column("session", Text, primary_key=True),
    Column("message", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("start", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("scope", Text, primary_key=True),  # "" for the server, else a project's key
    Column("values", JSON, nullable=False),
    Column("revision", Integer, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    *actor("actor"),
    Column("projects", JSON(none_as_null=True)),
    Column("ticket", Text),
    Column("attempt", Text),
    # A browser's cookie is a token of its own that dies with the one it was made from.
    Column("parent_id", Text, ForeignKey("tokens.id", ondelete="CASCADE")),
    Column("expires_at", Ordered),
    Column("revoked_at", Ordered),
    Column("created_at", Ordered, nullable=False),
    Column("last_used_at", Ordered),
    Index("ix_tokens_parent_id", "parent_id"),
    Index("ix_tokens_attempt", "attempt"),
)

login_tickets = Table(
    "login_tickets",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("token_id", Text, ForeignKey("tokens.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", Ordered, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("token_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Ordered, nullable=False),
    Index("ix_idempotency_at", "at"),
)

from cortex_server.db import work  # noqa: E402, F401 - its tables belong to the same metadata

for _statement in search.SQLITE:
    event.listen(
        metadata, "after_create", DDL(_statement.replace("%", "%%")).execute_if(dialect="sqlite")
    )
