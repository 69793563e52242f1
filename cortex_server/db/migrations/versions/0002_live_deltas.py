"""Live text that several processes share; with SQLite, where one process serves, it stays empty.

Both databases get it, so that one schema is described, copied and checked. On PostgreSQL it is not
written to the write-ahead log: text that is not stored yet need not outlive a crash.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "live_deltas",
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "session", "message", "revision", "part", "start", name="pk_live_deltas"
        ),
        prefixes=["UNLOGGED"] if op.get_bind().dialect.name == "postgresql" else [],
    )
