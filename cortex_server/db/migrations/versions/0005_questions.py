"""What agents ask and keep: permissions, instances, triggers and memory."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _memories()
    _triggers()
    _trigger_firings()
    _trigger_calls()
    _instances()
    _permissions()


def _memories() -> None:
    op.create_table(
        "memories",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", Ordered, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("author_kind", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.key"], name="fk_memories_project", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project", "name", name="pk_memories"),
    )


def _triggers() -> None:
    op.create_table(
        "triggers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("on", sa.JSON(), nullable=False),
        sa.Column("action", sa.JSON(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=True),
        sa.Column("cursor", Position, nullable=False),
        sa.Column("fired", sa.Integer(), nullable=False),
        sa.Column("last_fired_at", Ordered, nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("next_at", Ordered, nullable=True),
        sa.Column("created_by_kind", sa.Text(), nullable=False),
        sa.Column("created_by_name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.key"], name="fk_triggers_project", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_triggers"),
        sa.UniqueConstraint("project", "name", name="uq_triggers_project_name"),
    )
    op.create_index("ix_triggers_enabled_next_at", "triggers", ["enabled", "next_at"])


def _trigger_firings() -> None:
    op.create_table(
        "trigger_firings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("effect", sa.Text(), nullable=True),
        sa.Column("chain", sa.JSON(), nullable=False),
        sa.Column("at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["trigger"], ["triggers.id"], name="fk_trigger_firings_trigger", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_trigger_firings"),
    )
    op.create_index("ix_trigger_firings_at", "trigger_firings", ["at"])
    op.create_index("ix_trigger_firings_effect", "trigger_firings", ["effect"])
    op.create_index("ix_trigger_firings_trigger_at", "trigger_firings", ["trigger", "at"])


def _trigger_calls() -> None:
    op.create_table(
        "trigger_calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", Ordered, nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("ended_at", Ordered, nullable=True),
        sa.ForeignKeyConstraint(
            ["trigger"], ["triggers.id"], name="fk_trigger_calls_trigger", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_trigger_calls"),
    )
    op.create_index("ix_trigger_calls_ended_at", "trigger_calls", ["ended_at"])
    op.create_index("ix_trigger_calls_status_next_at", "trigger_calls", ["status", "next_at"])
    op.create_index("ix_trigger_calls_trigger_id", "trigger_calls", ["trigger", "id"])


def _instances() -> None:
    op.create_table(
        "instances",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Text(), nullable=False),
        sa.Column("runner", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("seen_at", Ordered, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempts.id"], name="fk_instances_attempt", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.key"], name="fk_instances_project", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["ticket"], ["tickets.key"], name="fk_instances_ticket", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_instances"),
        sa.UniqueConstraint("attempt", name="uq_instances_attempt"),
    )
    op.create_index("ix_instances_project_id", "instances", ["project", "id"])
    op.create_index("ix_instances_status_seen_at", "instances", ["status", "seen_at"])
    op.create_index("ix_instances_ticket_id", "instances", ["ticket", "id"])


def _permissions() -> None:
    op.create_table(
        "permissions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Text(), nullable=True),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("multiple", sa.Boolean(), nullable=False),
        sa.Column("free_text", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("choices", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("asked_by_kind", sa.Text(), nullable=False),
        sa.Column("asked_by_name", sa.Text(), nullable=False),
        sa.Column("answered_by_kind", sa.Text(), nullable=True),
        sa.Column("answered_by_name", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Ordered, nullable=False),
        sa.Column("updated_at", Ordered, nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt"], ["attempts.id"], name="fk_permissions_attempt", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.key"], name="fk_permissions_project", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["session"], ["sessions.id"], name="fk_permissions_session", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["ticket"], ["tickets.key"], name="fk_permissions_ticket", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_permissions"),
        sa.UniqueConstraint("session", "external_id", name="uq_permissions_session_external_id"),
    )
    op.create_index("ix_permissions_attempt_state", "permissions", ["attempt", "state"])
    op.create_index("ix_permissions_project_id", "permissions", ["project", "id"])
    op.create_index("ix_permissions_project_state_id", "permissions", ["project", "state", "id"])
    op.create_index("ix_permissions_state_id", "permissions", ["state", "id"])
    op.create_index("ix_permissions_ticket_id", "permissions", ["ticket", "id"])
