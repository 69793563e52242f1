"""Lists, words and counts that cost the same with a hundred thousand tickets.

Indexes for pages by number, an index of words, and when tickets entered their columns.
"""

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    _number_of_labelled()
    _indexes()
    _arrivals()
    if op.get_bind().dialect.name == "sqlite":
        _words_on_sqlite()
    else:
        _words_on_postgres()


def _number_of_labelled() -> None:
    """Give ticket_labels the number of the ticket, so that its index is in the order of a list."""
    op.drop_index("ix_ticket_labels_label", "ticket_labels")
    if op.get_bind().dialect.name == "sqlite":
        op.rename_table("ticket_labels", "ticket_labels_before")
        op.create_table(
            "ticket_labels",
            sa.Column("ticket", sa.Text(), nullable=False),
            sa.Column("label", sa.Text(), nullable=False),
            sa.Column("number", sa.Integer(), nullable=False),
            sa.PrimaryKeyConstraint("ticket", "label", name="pk_ticket_labels"),
            sa.ForeignKeyConstraint(
                ["ticket"], ["tickets.key"], name="fk_ticket_labels_ticket", ondelete="CASCADE"
            ),
            sa.ForeignKeyConstraint(
                ["label"], ["labels.id"], name="fk_ticket_labels_label", ondelete="CASCADE"
            ),
        )
        op.execute(
            "INSERT INTO ticket_labels SELECT b.ticket, b.label, t.number "
            "FROM ticket_labels_before b JOIN tickets t ON t.key = b.ticket"
        )
        op.drop_table("ticket_labels_before")
    else:
        op.add_column("ticket_labels", sa.Column("number", sa.Integer()))
        op.execute(
            "UPDATE ticket_labels SET number = tickets.number FROM tickets "
            "WHERE tickets.key = ticket_labels.ticket"
        )
        op.alter_column("ticket_labels", "number", nullable=False)
    op.create_index("ix_ticket_labels_label_number", "ticket_labels", ["label", "number"])


def _indexes() -> None:
    of_column = ["project", "archived"]
    op.create_index("ix_tickets_project_archived_number", "tickets", [*of_column, "number"])
    for name in ("status", "assignee", "type", "priority"):
        index = f"ix_tickets_project_archived_{name}_number"
        op.create_index(index, "tickets", [*of_column, name, "number"])
    op.create_index("ix_comments_project", "comments", ["project"])
    op.drop_index("ix_reviews_project_state", "reviews")
    op.create_index("ix_reviews_project_id", "reviews", ["project", "id"])
    op.create_index("ix_reviews_project_state_id", "reviews", ["project", "state", "id"])
    op.create_index("ix_reviews_state_id", "reviews", ["state", "id"])
    by_time = ["created_at", "id"]
    op.create_index("ix_sessions_project_created_at_id", "sessions", ["project", *by_time])
    op.create_index("ix_sessions_created_at_id", "sessions", by_time)


def _arrivals() -> None:
    arrivals = op.create_table(
        "arrivals",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("ticket", sa.Text(), nullable=False),
        sa.Column("at", Ordered, nullable=False),
        sa.PrimaryKeyConstraint("project", "status", "ticket", name="pk_arrivals"),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.key"], name="fk_arrivals_project", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_arrivals_project_at_status", "arrivals", ["project", "at", "status"])
    found = _found_in_the_log()
    if found:
        names = ("project", "status", "ticket", "at")
        op.bulk_insert(
            arrivals, [dict(zip(names, (*key, at), strict=True)) for key, at in found.items()]
        )


def _found_in_the_log() -> dict[tuple[str, str, str], str]:
    """When each ticket last entered a column in the last seven days, newest events first."""
    conn = op.get_bind()
    since = f"{datetime.now(UTC) - timedelta(days=7):%Y-%m-%dT%H:%M:%S}"
    projects = set(conn.scalars(sa.text("SELECT key FROM projects")))
    found: dict[tuple[str, str, str], str] = {}
    newest = "SELECT type, project, ticket, at, payload FROM events ORDER BY position DESC"
    rows = conn.execute(sa.text(newest).execution_options(stream_results=True, max_row_buffer=100))
    with rows:
        for name, project, ticket, at, payload in rows:
            if at < since:
                break
            if name == "ticket.moved" and project in projects:
                change = json.loads(payload)["changed"].get("status")
                if change is not None:
                    found.setdefault((project, change["to"], ticket), at)
    return found


_ENTRY = """(
    ((SELECT id FROM ticket_search_projects WHERE project = {row}.project) * 2 + {row}.archived)
    << 32 | {row}.number
)"""
_TEXT = "{row}.title || char(10) || {row}.body || char(10) || {row}.key || char(10) || char(10)"
_OLD = f"{_ENTRY}, {_TEXT}".format(row="old")
_EACH = f"{_ENTRY}, {_TEXT}".format(row="t")
_NEW = f"{_ENTRY}, {_TEXT}".format(row="new")


def _words_on_sqlite() -> None:
    for statement in (
        """CREATE TABLE ticket_search_projects (
    id INTEGER NOT NULL PRIMARY KEY,
    project TEXT NOT NULL UNIQUE
)""",
        """CREATE VIRTUAL TABLE ticket_search USING fts5(
    text, content='', columnsize=0, detail=none, tokenize='trigram'
)""",
        "CREATE VIRTUAL TABLE ticket_search_terms USING fts5vocab('ticket_search', 'row')",
        """CREATE TRIGGER ticket_search_insert AFTER INSERT ON tickets BEGIN
    INSERT INTO ticket_search_projects (project) SELECT new.project WHERE NOT EXISTS (
        SELECT 1 FROM ticket_search_projects WHERE project = new.project);
    INSERT INTO ticket_search (rowid, text) VALUES (NEW_ENTRY);
END""".replace("NEW_ENTRY", _NEW),
        """CREATE TRIGGER ticket_search_update AFTER UPDATE OF title, body, archived ON tickets
WHEN old.title IS NOT new.title OR old.body IS NOT new.body OR old.archived IS NOT new.archived
BEGIN
    INSERT INTO ticket_search (ticket_search, rowid, text) VALUES ('delete', OLD_ENTRY);
    INSERT INTO ticket_search (rowid, text) VALUES (NEW_ENTRY);
END""".replace("OLD_ENTRY", _OLD).replace("NEW_ENTRY", _NEW),
        """CREATE TRIGGER ticket_search_delete AFTER DELETE ON tickets
WHEN EXISTS (SELECT 1 FROM ticket_search_projects WHERE project = old.project)
BEGIN
    INSERT INTO ticket_search (ticket_search, rowid, text) VALUES ('delete', OLD_ENTRY);
END""".replace("OLD_ENTRY", _OLD),
        "INSERT INTO ticket_search_projects (project) SELECT key FROM projects ORDER BY key",
        # In the order of the entries: an index of words is written out at each step back.
        """INSERT INTO ticket_search (rowid, text) SELECT AN_ENTRY FROM tickets t
    ORDER BY t.project, t.archived, t.number""".replace("AN_ENTRY", _EACH),
        "INSERT INTO ticket_search (ticket_search, rank) VALUES ('automerge', 0)",
        "INSERT INTO ticket_search (ticket_search, rank) VALUES ('crisismerge', 500)",
    ):
        op.get_bind().exec_driver_sql(statement)


def _words_on_postgres() -> None:
    """An index of trigrams where pg_trgm can be had; without it PostgreSQL reads the texts."""
    conn = op.get_bind()
    try:
        with conn.begin_nested():
            conn.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except sa.exc.DBAPIError:
        return
    conn.exec_driver_sql(
        "CREATE INDEX ix_tickets_words ON tickets USING gin "
        "(lower(title || E'\\n' || body || E'\\n' || key) gin_trgm_ops)"
    )
