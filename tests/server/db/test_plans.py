"""Every statement that a request or a duty runs on SQLite looks things up in an index.

A tour through the server records its statements; SQLite says how it would run each. It may read a
table from end to end, or sort, only where `ALLOWED` says why that stays small.
"""

import re
import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import event

from cortex_server import log
from cortex_server.app import TOKEN_FILE, create_app
from cortex_server.config import Config
from cortex_server.domains import ticket_lists, ticket_words
from cortex_server.reconciler import Reconciler
from cortex_server.store import SYSTEM

# Of a statement, and of what it does: why that costs little however much there is.
ALLOWED = [
    (r"", r"SCAN log_state", "one row"),
    (r"", r"SCAN ticket_search\w* VIRTUAL TABLE INDEX", "the index of words, by its own index"),
    (r"", r"SCAN (projects|project_counters|teams|p)\b", "as many as there are boards"),
    (r"", r"SCAN tokens|SCAN login_tickets", "as many as there are tokens; once a minute"),
    (r"", r"SCAN (named|anon_\d+|s|\(subquery-\d+\)|SUBQUERY \d+)$", "a page of rows or fewer"),
    (r"", r"SCAN CONSTANT ROW", "no table"),
    (r"sqlite_schema|alembic|PRAGMA", r"", "at the start"),
    (r"ORDER BY \w+\.(created_at|id).*LIMIT", r"SCAN \w+ USING INDEX", "in order, up to a page"),
    (r"^SELECT anon_\d+.\"key\"", r"USE TEMP B-TREE FOR ORDER BY", "the candidates of one page"),
    (r"status = '\w+' ORDER BY tickets.rank$", r"USE TEMP", "a removed column: all are moved"),
    (r"UNION ALL", r"USE TEMP B-TREE FOR ORDER BY", "a page of rows of each scan"),
    (r"tickets.\"?key\"? IN", r"USE TEMP B-TREE FOR ORDER BY", "the candidates of one page"),
    (r"FROM sessions", r"USE TEMP B-TREE FOR ORDER BY", "active sessions, or those of a ticket"),
    (r"FROM reviews", r"USE TEMP B-TREE FOR ORDER BY", "reviews of a ticket"),
    (r"FROM tokens", r"USE TEMP B-TREE", "as many as there are tokens"),
    (r"count\(\*\).*GROUP BY", r"USE TEMP B-TREE FOR GROUP BY", "counts of a few statuses"),
]


@pytest.fixture
def app(tmp_path):
    config = Config(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/cortex.db")
    made = create_app(config)
    yield made
    made.extensions["cortex"].store.engine.dispose()


@pytest.fixture
def statements(app):
    """The statements that run from here on, as SQLite gets them."""
    seen = {}

    def note(statement):
        if not re.search(r"ticket_search_(idx|data|config)", statement):  # of the index of words
            seen.setdefault(_form(statement), statement)

    def trace(connection, _record, _proxy):
        connection.set_trace_callback(note)

    event.listen(app.extensions["cortex"].store.engine, "checkout", trace)
    return seen


def _form(statement):
    """The statement whatever its values."""
    return re.sub(r"'(?:[^']|'')*'|\b\d+\b", "?", statement)


@pytest.fixture
def ask(app, tmp_path):
    """Send a request: ask("POST", "/projects", key="CTX"). Fails unless it succeeds."""
    client = app.test_client()
    secret = (tmp_path / TOKEN_FILE).read_text().strip()
    headers = {"Authorization": f"Bearer {secret}", "Host": "127.0.0.1", "Idempotency-Key": "k"}
    numbers = iter(range(1_000_000))

    def send(method, path, secret=None, **body):
        mine = headers | {"Idempotency-Key": f"k{next(numbers)}"}
        if secret is not None:
            mine["Authorization"] = f"Bearer {secret}"
        answer = client.open(f"/api{path}", method=method, json=body or None, headers=mine)
        assert answer.status_code < 300, (method, path, answer.text)
        return answer.json if answer.data else None

    return send


def test_no_statement_reads_or_sorts_more_than_it_returns(app, ask, statements, tmp_path):
    _change_everything(ask)
    _read_everything(ask)
    _duties(app.extensions["cortex"])
    _delete_everything(ask)
    assert len(statements) > 150
    with closing(sqlite3.connect(tmp_path / "cortex.db")) as conn:
        faults = [f"{step}: {statement}" for step, statement in _faults(conn, statements.values())]
        assert faults == [], "\n\n".join(faults)


def _faults(conn, statements):
    for statement in statements:
        if re.match(r"\s*(--|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|CREATE)", statement):
            continue
        for *_, step in conn.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall():
            costly = step.startswith("SCAN") or "TEMP B-TREE" in step
            if costly and not _allowed(statement, step):
                yield step, statement


def _allowed(statement, step):
    return any(
        re.search(where, statement, re.DOTALL) and re.search(what, step)
        for where, what, _ in ALLOWED
    )


def _change_everything(ask):
    ask("POST", "/teams", key="core", name="Core")
    ask("PATCH", "/teams/core", name="The core")
    for key in ("CTX", "TWO"):
        ask("POST", "/projects", key=key, name=key, team="core")
        ask("POST", f"/projects/{key}/labels", name="red")
        for number in range(3):
            ask("POST", f"/projects/{key}/tickets", title=f"apple {number}", labels=["red", "a"])
    ask("POST", "/projects/CTX/tickets", title="x", position=1, depends_on=["CTX-1", "CTX-2"])
    ask("PATCH", "/tickets/CTX-1", title="pear", labels=["blue"], status="review", archived=True)
    ask("PATCH", "/tickets/CTX-3", depends_on=["CTX-2"])
    ask("POST", "/tickets/CTX-2/move", status="done", position=0)
    ask("POST", "/tickets/CTX-3/move", status="done", position=1)
    ask("POST", "/tickets/CTX-3/move", status="done", position=0)
    ask("POST", "/tickets/CTX-2/labels", label="new")
    ask("DELETE", "/tickets/CTX-2/labels/new")
    one = {"id": "0f8fad5b-d9cb-469f-a165-70867728950e", "title": "x", "body": "y"}
    ask("POST", "/projects/CTX/tickets/import", tickets=[one])
    ask("POST", "/projects/CTX/tickets/import", tickets=[one | {"title": "z"}])
    comment = ask("POST", "/tickets/CTX-2/comments", body="hello")
    ask("PATCH", f"/comments/{comment['id']}", body="bye")
    review = ask("POST", "/tickets/CTX-2/reviews", summary="look")
    ask("PATCH", f"/reviews/{review['id']}", state="approved")
    session = ask("POST", "/tickets/CTX-2/sessions")["id"]
    child = ask("POST", "/tickets/CTX-2/sessions", parent_id=session)["id"]
    ask("PATCH", f"/sessions/{child}", status="working", parent_id=None)
    part = {"type": "text", "text": "a", "status": "streaming"}
    ask("PUT", f"/sessions/{session}/messages/m", role="assistant", parts=[part])
    ask("POST", f"/sessions/{session}/messages/m/delta", part=0, offset=1, text="b")
    ask("POST", f"/sessions/{session}/end")
    ask("PATCH", "/settings", values={"log_retention_days": 30})
    ask("PATCH", "/projects/CTX/settings", values={"default_priority": "low"})
    ask("POST", "/tokens", name="t", role="agent", ticket="CTX-2")


def _read_everything(ask):
    only = ask("POST", "/tokens", name="t", role="read", projects=["CTX", "TWO"])["secret"]
    filters = ("status=done", "label=red", "assignee=a", "type=work", "priority=none", "q=apple")
    for secret in (None, only):
        for path in ("/tickets", "/projects/CTX/tickets"):
            for wanted in (*filters, "label=red&status=done&q=app%20e", "q=p", ""):
                for archived in ("any", "false"):
                    _pages(ask, f"{path}?archived={archived}&{wanted}", secret)
        for wanted in ("", "project=CTX", "ticket=CTX-2"):
            for more in ("", "active=true", "active=false"):
                _pages(ask, f"/sessions?{wanted}&{more}", secret)
        for wanted in ("", "project=CTX", "state=approved", "project=CTX&state=requested"):
            _pages(ask, f"/reviews?{wanted}", secret)
        _pages(ask, "/projects?", secret)
        ask("GET", "/dashboard", secret)
        ask("GET", "/projects/CTX/board", secret)
    _pages(ask, "/tickets/CTX-2/reviews?")
    _pages(ask, "/tickets/CTX-2/sessions?")
    for path in ("/teams", "/tokens", "/projects/CTX/labels", "/tickets/CTX-2/comments"):
        _pages(ask, f"{path}?")
    session = ask("GET", "/sessions?active=false")["items"][0]["id"]
    _pages(ask, f"/sessions/{session}/messages?")
    ask("GET", "/tickets/CTX-2")
    ask("GET", "/settings")


def _pages(ask, path, secret=None):
    """The first page, of one row, and the one behind it."""
    path = path.replace("?&", "?").replace("&&", "&").rstrip("&")
    path = f"{path}&limit=1".replace("?&", "?")
    cursor = ask("GET", path, secret)["next_cursor"]
    if cursor:
        ask("GET", f"{path}&cursor={cursor}", secret)


def _duties(services):
    reconciler = Reconciler(services)
    reconciler.tick(0.0)
    with services.store.read() as tx:
        log.after(tx.conn, 0)
        log.after(tx.conn, 3, ["CTX", "TWO"])
        log.seq_of(tx.conn, "CTX")
    with services.store.write(SYSTEM) as tx:
        log.prune(tx.conn, tx.now, 5)
        ticket_words.tidy(tx)


def _delete_everything(ask):
    label = ask("GET", "/projects/CTX/labels")["items"][0]["id"]
    ask("PATCH", f"/labels/{label}", name="other")
    ask("DELETE", f"/labels/{label}")
    ask("DELETE", "/tickets/CTX-2")
    columns = [{"name": name} for name in ("backlog", "progress")]
    ask("PATCH", "/projects/CTX", columns=columns, move_tickets_to="backlog")
    ask("DELETE", "/projects/TWO")
    token = ask("GET", "/tokens")["items"][-1]["id"]
    ask("DELETE", f"/tokens/{token}")
    ask("DELETE", "/teams/core")


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("", "ix_tickets_project_archived_number"),
        ("status=done", "ix_tickets_project_archived_status_number"),
        ("assignee=a", "ix_tickets_project_archived_assignee_number"),
        ("type=work", "ix_tickets_project_archived_type_number"),
        ("priority=none", "ix_tickets_project_archived_priority_number"),
        ("label=red", "ix_ticket_labels_label_number"),
        ("q=apple", "ticket_search VIRTUAL TABLE INDEX"),
    ],
)
@pytest.mark.parametrize("path", ["/tickets", "/projects/CTX/tickets"])
def test_a_filter_has_an_index_in_the_order_of_the_list(
    ask, statements, tmp_path, monkeypatch, path, wanted, index
):
    monkeypatch.setattr(ticket_lists, "_FEW", 1)  # else there are too few to ask the index
    ask("POST", "/projects", key="CTX", name="x")
    ask("POST", "/projects/CTX/tickets", title="apple")
    statements.clear()
    ask("GET", f"{path}?{wanted}")
    with closing(sqlite3.connect(tmp_path / "cortex.db")) as conn:
        steps = [
            step
            for statement in statements.values()
            if "ticket" in statement
            for *_, step in conn.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
        ]
    assert any(index in step for step in steps), steps


def test_a_statement_that_reads_all_is_found(app, statements, tmp_path):
    with app.extensions["cortex"].store.read() as tx:
        tx.conn.exec_driver_sql("SELECT key FROM tickets WHERE title = 'x' ORDER BY body").all()
    with closing(sqlite3.connect(tmp_path / "cortex.db")) as conn:
        steps = [step for step, _ in _faults(conn, statements.values())]
    assert steps == ["SCAN tickets", "USE TEMP B-TREE FOR ORDER BY"]


@pytest.mark.parametrize(
    ("table", "by"),
    [
        ("tickets", "project"),
        ("labels", "project"),
        ("ticket_labels", "label"),
        ("ticket_dependencies", "depends_on"),
        ("comments", "project"),
        ("comments", "ticket"),
        ("reviews", "project"),
        ("reviews", "ticket"),
        ("sessions", "project"),
        ("sessions", "ticket"),
        ("sessions", "parent_id"),
        ("messages", "project"),
        ("messages", "ticket"),
        ("messages", "session"),
        ("arrivals", "project"),
    ],
)
def test_what_is_deleted_with_its_parent_is_looked_up(app, tmp_path, table, by):
    with closing(sqlite3.connect(tmp_path / "cortex.db")) as conn:
        plan = conn.execute(f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {by} = 'x'").fetchall()
    assert [step.split(" ")[0] for *_, step in plan] == ["SEARCH"]
