"""Agents at work: agents, runners, attempts and batches."""

from typing import Literal

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for make in (
        _agents,
        _runners,
        _batches,
        _profiles,
        _attempts,
        _batch_tickets,
        _attempt_commits,
        _attempt_diffs,
        _attempt_log,
        _attempt_pushes,
        _runner_commands,
    ):
        make()
    _sessions()
    _tokens()


def _sessions() -> None:
    """Give sessions their attempt, and tell those that are silent from those that work."""
    with op.batch_alter_table("sessions") as sessions:
        sessions.add_column(sa.Column("attempt", sa.Text()))
        sessions.add_column(sa.Column("stale", sa.Boolean()))
        sessions.add_column(sa.Column("seen_at", Ordered))
    op.execute("UPDATE sessions SET stale = false, seen_at = updated_at")
    with op.batch_alter_table("sessions", reflect_kwargs={"resolve_fks": False}) as sessions:
        sessions.alter_column("stale", nullable=False, existing_type=sa.Boolean())
        sessions.alter_column("seen_at", nullable=False, existing_type=Ordered)
        sessions.create_foreign_key(
            "fk_sessions_attempt", "attempts", ["attempt"], ["id"], ondelete="SET NULL"
        )
    op.create_index("ix_sessions_attempt", "sessions", ["attempt"])
    op.create_index("ix_sessions_status_stale_seen_at", "sessions", ["status", "stale", "seen_at"])


def _tokens() -> None:
    # "always": SQLite would write the new column behind the constraints
    how: Literal["always", "never"] = (
        "always" if op.get_bind().dialect.name == "sqlite" else "never"
    )
    with op.batch_alter_table(
        "tokens", recreate=how, reflect_kwargs={"resolve_fks": False}
    ) as tokens:
        tokens.add_column(sa.Column("attempt", sa.Text()))
    op.create_index("ix_tokens_attempt", "tokens", ["attempt"])


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
        sa.UniqueConstraint("name", name="uq_agents_name"),
    )


def _runners() -> None:
    op.create_table(
        "runners",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("parallel", sa.Integer(), nullable=False),
        sa.Column("agents", sa.JSON(), nullable=False),
        sa.Column("projects", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("seen_at", Ordered, nullable=False),
        sa.Column("lease_expires_at", Ordered, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runners"),
        sa.UniqueConstraint("name", name="uq_runners_name"),
    )


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=True),
        sa.Column("stop_on_failure", sa.Boolean(), nullable=False),
        sa.Column("on_conflict", sa.Text(), nullable=False),
        sa.Column("merge", sa.Boolean(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=True),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.Column("pr_url", sa.Text(), nullable=True),
        sa.Column("compare_url", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("runner", sa.Text(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("lease_expires_at", Ordered, nullable=True),
        sa.Column("cancelling", sa.Boolean(), nullable=False),
        sa.Column("created_by_kind", sa.Text(), nullable=False),
        sa.Column("created_by_name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.Column("started_at", Ordered, nullable=True),
        sa.Column("ended_at", Ordered, nullable=True),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.key"], name="fk_batches_project", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index("ix_batches_project_ended_at", "batches", ["project", "ended_at"])
    op.create_index("ix_batches_project_id", "batches", ["project", "id"])
    op.create_index("ix_batches_project_status_id", "batches", ["project", "status", "id"])
    op.create_index("ix_batches_status_id", "batches", ["status", "id"])


def _profiles() -> None:
    op.create_table(
        "profiles",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.key"], name="fk_profiles_project", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_profiles"),
        sa.UniqueConstraint("name", name="uq_profiles_name"),
    )


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=True),
        sa.Column("base", sa.Text(), nullable=True),
        sa.Column("branch", sa.Text(), nullable=True),
        sa.Column("worktree", sa.Text(), nullable=True),
        sa.Column("session", sa.Text(), nullable=True),
        sa.Column("runner", sa.Text(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("lease_expires_at", Ordered, nullable=True),
        sa.Column("todos", sa.JSON(), nullable=False),
        sa.Column("git", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("pr", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("compare_url", sa.Text(), nullable=True),
        sa.Column("batch", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("started_by_kind", sa.Text(), nullable=False),
        sa.Column("started_by_name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.Column("started_at", Ordered, nullable=True),
        sa.Column("ended_at", Ordered, nullable=True),
        sa.ForeignKeyConstraint(
            ["batch"], ["batches.id"], name="fk_attempts_batch", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.key"], name="fk_attempts_project", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["ticket"], ["tickets.key"], name="fk_attempts_ticket", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.UniqueConstraint("ticket", "number", name="uq_attempts_ticket_number"),
    )
    op.create_index("ix_attempts_batch", "attempts", ["batch"])
    op.create_index("ix_attempts_project_ended_at", "attempts", ["project", "ended_at"])
    op.create_index("ix_attempts_project_id", "attempts", ["project", "id"])
    op.create_index("ix_attempts_project_status_id", "attempts", ["project", "status", "id"])
    op.create_index("ix_attempts_runner_id", "attempts", ["runner", "id"])
    op.create_index("ix_attempts_status_id", "attempts", ["status", "id"])
    op.create_index(
        "ix_attempts_status_lease_expires_at", "attempts", ["status", "lease_expires_at"]
    )


def _batch_tickets() -> None:
    op.create_table(
        "batch_tickets",
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch"], ["batches.id"], name="fk_batch_tickets_batch", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("batch", "place", name="pk_batch_tickets"),
    )
    op.create_index("ix_batch_tickets_attempt", "batch_tickets", ["attempt"])
    op.create_index("ix_batch_tickets_ticket", "batch_tickets", ["ticket"])


def _attempt_commits() -> None:
    op.create_table(
        "attempt_commits",
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("at", Ordered, nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("insertions", sa.Integer(), nullable=False),
        sa.Column("deletions", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempts.id"], name="fk_attempt_commits_attempt", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt", "number", name="pk_attempt_commits"),
        sa.UniqueConstraint("attempt", "sha", name="uq_attempt_commits_attempt_sha"),
    )


def _attempt_diffs() -> None:
    op.create_table(
        "attempt_diffs",
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("head", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempts.id"], name="fk_attempt_diffs_attempt", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt", name="pk_attempt_diffs"),
    )


def _attempt_log() -> None:
    op.create_table(
        "attempt_log",
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=True),
        sa.Column("at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempts.id"], name="fk_attempt_log_attempt", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt", "number", name="pk_attempt_log"),
    )


def _attempt_pushes() -> None:
    op.create_table(
        "attempt_pushes",
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("remote", sa.Text(), nullable=False),
        sa.Column("branch", sa.Text(), nullable=False),
        sa.Column("sha", sa.Text(), nullable=False),
        sa.Column("at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempts.id"], name="fk_attempt_pushes_attempt", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("attempt", "number", name="pk_attempt_pushes"),
    )


def _runner_commands() -> None:
    op.create_table(
        "runner_commands",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("runner", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("acked_at", Ordered, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempts.id"], name="fk_runner_commands_attempt", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_runner_commands"),
    )
    op.create_index("ix_runner_commands_attempt", "runner_commands", ["attempt"])
    op.create_index(
        "ix_runner_commands_runner_acked_at_id", "runner_commands", ["runner", "acked_at", "id"]
    )
