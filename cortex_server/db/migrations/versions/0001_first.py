"""The first schema.

Written out, so that it stays what it was when `db.schema` moves on. There is no way back: a
migrated SQLite file has a backup beside it.
"""

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Order by bytes on both databases.
Ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _log()
    _teams_and_projects()
    _labels()
    _tickets()
    _relations_of_tickets()
    _comments()
    _reviews()
    _sessions()
    _messages()
    _settings_and_tokens()
    _idempotency()


def _revisioned() -> list[sa.Column[Any]]:
    return [
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
    ]


def _actor(name: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [
        sa.Column(f"{name}_kind", sa.Text(), nullable=nullable),
        sa.Column(f"{name}_name", sa.Text(), nullable=nullable),
    ]


def _of(table: str, parent: str) -> sa.ForeignKeyConstraint:
    """A row that is deleted with the project or ticket whose key it holds."""
    return sa.ForeignKeyConstraint(
        [parent], [f"{parent}s.key"], name=f"fk_{table}_{parent}", ondelete="CASCADE"
    )


def _log() -> None:
    log_state = op.create_table(
        "log_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.Column("head", Position, nullable=False),
        sa.Column("floor", Position, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_state"),
    )
    op.create_table(
        "project_counters",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("seq", Position, nullable=False),
        sa.Column("tickets", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_project_counters"),
    )
    op.create_table(
        "events",
        sa.Column("position", Position, autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("seq", Position),
        sa.Column("ticket", sa.Text()),
        sa.Column("at", Ordered, nullable=False),
        *_actor("actor"),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_events"),
    )
    op.create_index("ix_events_project_position", "events", ["project", "position"])
    first = {"id": 1, "epoch": secrets.token_hex(4), "head": 0, "floor": 0}
    op.bulk_insert(log_state, [first])


def _teams_and_projects() -> None:
    op.create_table(
        "teams",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("color", sa.Text()),
        *_revisioned(),
        sa.PrimaryKeyConstraint("key", name="pk_teams"),
        sa.UniqueConstraint("id", name="uq_teams_id"),
    )
    op.create_index("uq_teams_key_lower", "teams", [sa.text("lower(key)")], unique=True)
    op.create_table(
        "projects",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team", sa.Text()),
        sa.Column("repo_path", sa.Text()),
        sa.Column("default_branch", sa.Text(), nullable=False),
        sa.Column("columns", sa.JSON(), nullable=False),
        *_revisioned(),
        sa.PrimaryKeyConstraint("key", name="pk_projects"),
        sa.UniqueConstraint("id", name="uq_projects_id"),
        sa.ForeignKeyConstraint(
            ["team"], ["teams.key"], name="fk_projects_team", ondelete="SET NULL"
        ),
    )
    op.create_index("uq_projects_key_lower", "projects", [sa.text("lower(key)")], unique=True)


def _labels() -> None:
    op.create_table(
        "labels",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.Column("color", sa.Text()),
        sa.Column("priority", sa.Integer(), nullable=False),
        *_revisioned(),
        sa.PrimaryKeyConstraint("id", name="pk_labels"),
        sa.UniqueConstraint("project", "name_folded", name="uq_labels_project_name_folded"),
        _of("labels", "project"),
    )


def _tickets() -> None:
    op.create_table(
        "tickets",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("rank", Ordered, nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("assignee", sa.Text()),
        sa.Column("due", sa.Text()),
        sa.Column("references", sa.JSON(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        *_revisioned(),
        sa.PrimaryKeyConstraint("key", name="pk_tickets"),
        sa.UniqueConstraint("id", name="uq_tickets_id"),
        sa.UniqueConstraint("project", "number", name="uq_tickets_project_number"),
        _of("tickets", "project"),
    )
    order = ["project", "archived", "status", "rank"]
    op.create_index("ix_tickets_project_archived_status_rank", "tickets", order)
    op.create_index("uq_tickets_key_lower", "tickets", [sa.text("lower(key)")], unique=True)


def _relations_of_tickets() -> None:
    op.create_table(
        "ticket_labels",
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", "label", name="pk_ticket_labels"),
        _of("ticket_labels", "ticket"),
        sa.ForeignKeyConstraint(
            ["label"], ["labels.id"], name="fk_ticket_labels_label", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_ticket_labels_label", "ticket_labels", ["label"])
    op.create_table(
        "ticket_dependencies",
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("depends_on", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", "depends_on", name="pk_ticket_dependencies"),
        _of("ticket_dependencies", "ticket"),
        sa.ForeignKeyConstraint(
            ["depends_on"],
            ["tickets.key"],
            name="fk_ticket_dependencies_depends_on",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_ticket_dependencies_depends_on", "ticket_dependencies", ["depends_on"])


def _comments() -> None:
    op.create_table(
        "comments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        *_actor("author"),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        *_revisioned(),
        sa.PrimaryKeyConstraint("id", name="pk_comments"),
        _of("comments", "project"),
        _of("comments", "ticket"),
    )
    op.create_index("ix_comments_ticket_id", "comments", ["ticket", "id"])


def _reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("repo_path", sa.Text()),
        sa.Column("branch", sa.Text()),
        sa.Column("commit", sa.Text()),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("note", sa.Text()),
        *_actor("requested_by"),
        *_actor("resolved_by", nullable=True),
        *_revisioned(),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        _of("reviews", "project"),
        _of("reviews", "ticket"),
    )
    op.create_index("ix_reviews_ticket_id", "reviews", ["ticket", "id"])
    op.create_index("ix_reviews_project_state", "reviews", ["project", "state"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text()),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text()),
        sa.Column("work", sa.Text()),
        sa.Column("outcome", sa.Text()),
        *_actor("started_by"),
        *_revisioned(),
        sa.Column("ended_at", Ordered),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        _of("sessions", "project"),
        _of("sessions", "ticket"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["sessions.id"], name="fk_sessions_parent_id", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_sessions_ticket_id", "sessions", ["ticket", "id"])
    op.create_index("ix_sessions_project_status", "sessions", ["project", "status"])
    op.create_index("ix_sessions_parent_id", "sessions", ["parent_id"])


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        *_revisioned(),
        sa.PrimaryKeyConstraint("session", "id", name="pk_messages"),
        sa.UniqueConstraint("session", "number", name="uq_messages_session_number"),
        sa.ForeignKeyConstraint(
            ["session"], ["sessions.id"], name="fk_messages_session", ondelete="CASCADE"
        ),
        _of("messages", "project"),
        _of("messages", "ticket"),
    )
    op.create_index("ix_messages_ticket", "messages", ["ticket"])
    op.create_index("ix_messages_project", "messages", ["project"])


def _settings_and_tokens() -> None:
    op.create_table(
        "settings",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_settings"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        *_actor("actor"),
        sa.Column("projects", sa.JSON()),
        sa.Column("ticket", sa.Text()),
        sa.Column("parent_id", sa.Text()),
        sa.Column("expires_at", Ordered),
        sa.Column("revoked_at", Ordered),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("last_used_at", Ordered),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["tokens.id"], name="fk_tokens_parent_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_tokens_parent_id", "tokens", ["parent_id"])
    op.create_table(
        "login_tickets",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("expires_at", Ordered, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_login_tickets"),
        sa.ForeignKeyConstraint(
            ["token_id"], ["tokens.id"], name="fk_login_tickets_token_id", ondelete="CASCADE"
        ),
    )


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", Ordered, nullable=False),
        sa.PrimaryKeyConstraint("token_id", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_at", "idempotency", ["at"])
