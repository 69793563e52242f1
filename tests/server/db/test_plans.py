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
    (r"", r"SCAN (runners|agents|profiles)\b", "as many as there are of these"),
    (r"DELETE FROM runner_commands", r"SCAN", "those of a day; once a minute"),
    (r"(?<!NOT \()attempts.status IN \('(queued|starting)'", r"USE TEMP.*ORDER", "active ones"),
    (r"attempts.status = '(starting|running)' AND attempts.lease", r"USE TEMP", "active ones"),
    (r"FROM attempts.*attempts.ticket = ", r"USE TEMP B-TREE FOR ORDER", "those of a ticket"),
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


@pytest.mark.slow
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
    _runners(ask)
    _batches(ask)
    _work(ask)


def _runners(ask):
    """Runners, profiles and attempts, without what is on these."""
    offer = {"name": "sh", "adapter": "command", "capabilities": []}
    said = {"name": "r-2", "host": "here", "version": "1", "parallel": 3, "agents": [offer]}
    runner = f"/runners/{ask('POST', '/runners', **said, projects=['CTX'])['id']}"
    ask("POST", "/runners", **said)
    ask("POST", "/profiles", name="a", agent="sh", options={"model": "m"})
    ask("PATCH", "/profiles/a", agent="sh", name="b")
    ask("POST", "/profiles", name="c", agent="sh", project="CTX")
    for profile in ("b", "c"):
        made = ask("POST", "/tickets/CTX-3/attempts", agent="sh", profile=profile, base="main")
    path = f"/attempts/{made['id']}"
    ask("POST", f"{path}/stop")
    path = f"/attempts/{ask('POST', f'{path}/retry')['id']}"
    for _ in range(2):
        claimed = ask("POST", f"{runner}/claim")["claim"]["attempt"]
        held = [{"id": claimed["id"], "generation": 1}]
        ask("POST", f"{runner}/heartbeat", attempts=held, batches=held)
        ask("POST", f"/attempts/{claimed['id']}/stop")
        command = ask("GET", f"{runner}/commands")["items"][0]["id"]
        ask("POST", f"{runner}/commands/{command}/ack", error="x")
        ask("POST", f"/attempts/{claimed['id']}/end", generation=1, status="cancelled")
    ask("DELETE", "/profiles/c")
    ask("POST", f"{runner}/leave")


def _batches(ask):
    """A batch that is merged, one that is cancelled, triggers of each kind, and memory."""
    offer = {"name": "b", "adapter": "command", "capabilities": []}
    said = {"name": "r-3", "host": "here", "version": "1", "parallel": 3, "agents": [offer]}
    runner = f"/runners/{ask('POST', '/runners', **said)['id']}"
    ask("POST", "/projects/TWO/batches", tickets=["TWO-1", "TWO-2"], agent="b")
    on, call = {"types": ["batch.*"]}, {"kind": "call", "url": "http://127.0.0.1:1/"}
    for name, action in (("call", call), ("start", {"kind": "attempt", "agent": "b"})):
        trigger = ask("POST", "/projects/TWO/triggers", name=name, on=on, action=action)
    ask("PATCH", f"/triggers/{trigger['id']}", name="started")
    clock = {"kind": "batch", "agent": "b", "tickets": {"status": "backlog"}}
    ask("POST", "/projects/TWO/triggers", name="clock", on={"every_s": 1}, action=clock)
    for status in ("succeeded", "failed"):
        claimed = ask("POST", f"{runner}/claim")["claim"]["attempt"]
        ask("PATCH", f"/attempts/{claimed['id']}", generation=1, status="running")
        ask("POST", f"/attempts/{claimed['id']}/end", generation=1, status=status)
    batch = ask("POST", f"{runner}/claim")["claim"]["batch"]
    held = [{"id": batch["id"], "generation": 1}]
    ask("POST", f"{runner}/heartbeat", batches=held)
    said = {"generation": 1, "ticket": "TWO-1", "result": "conflict", "files": ["a"]}
    ask("POST", f"/batches/{batch['id']}/merge", **said)
    ask("POST", f"/batches/{batch['id']}/finish", generation=1, status="completed")
    held = ask("POST", "/projects/TWO/batches", tickets=["TWO-3"], agent="b")
    ask("POST", f"/batches/{held['id']}/cancel")
    ask("PUT", "/projects/CTX/memory/a", body="x")
    ask("PUT", "/projects/CTX/memory/a", body="y")


def _work(ask):
    """What a runner and its agent do, from the claim to the end; and one attempt that goes on."""
    offer = {"name": "shell", "adapter": "command", "capabilities": ["prompt"]}
    said = {"name": "r-1", "host": "here", "version": "1", "parallel": 2}
    runner = ask("POST", "/runners", **said, agents=[offer])["id"]
    for ticket in ("CTX-2", "CTX-3"):
        ask("POST", f"/tickets/{ticket}/attempts", agent="shell")
    for _ in range(2):
        attempt = ask("POST", f"/runners/{runner}/claim")["claim"]["attempt"]
        path, session = f"/attempts/{attempt['id']}", f"/sessions/{attempt['session']}"
        ask("PATCH", path, generation=1, status="running", stage="executing")
        ask("POST", f"{path}/log", generation=1, entries=[{"kind": "text", "text": "x"}])
        ask("PUT", f"{path}/todos", generation=1, todos=[{"text": "x", "status": "pending"}])
        file, sha = {"path": "a", "status": "added"}, "ab" * 20
        status = {"branch": "b", "head": sha, "ahead": 1, "behind": 0, "files": [file]}
        ask("PUT", f"{path}/git/status", generation=1, **status)
        made = {"sha": sha, "subject": "s", "author": "a", "at": "2026-01-26T15:53:01Z"}
        counts = {"files": 1, "insertions": 1, "deletions": 0}
        ask("POST", f"{path}/git/commits", generation=1, commits=[made | counts])
        ask("POST", f"{path}/git/pushes", generation=1, remote="origin", branch="b", sha=sha)
        ask("PUT", f"{path}/diff", generation=1, base="main", text="+a", truncated=False)
        ask("PUT", f"{path}/pr", generation=1, state="merged", url=None)
        for _ in range(2):  # the second time it is known
            ask("PUT", f"{path}/instance", generation=1, status="running")
        for name in ("q-1", "q-2"):
            body = {"title": "?", "free_text": True, "external_id": name}
            asked = ask("POST", f"{session}/permissions", **body)["id"]
        ask("POST", f"/permissions/{asked}/reply", text="yes")
        ask("POST", f"{session}/prompt", text="on")
    ask("POST", f"{path}/end", generation=1, status="succeeded")


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
        _read_work(ask, secret)
        for wanted in ("", "project=CTX", "ticket=CTX-2", "state=open", "project=CTX&state=open"):
            _pages(ask, f"/permissions?{wanted}", secret)
        for wanted in ("", "project=CTX", "ticket=CTX-2"):
            _pages(ask, f"/instances?{wanted}", secret)
        _pages(ask, "/projects?", secret)
        ask("GET", "/dashboard", secret)
        ask("GET", "/projects/CTX/board", secret)
    _pages(ask, "/tickets/CTX-2/reviews?")
    _pages(ask, "/tickets/CTX-2/sessions?")
    for path in ("/teams", "/tokens", "/projects/CTX/labels", "/tickets/CTX-2/comments"):
        _pages(ask, f"{path}?")
    attempt = ask("GET", "/permissions?state=open")["items"][0]["attempt"]
    for below in ("log?after=0", "log?tail=1", "git", "diff"):
        ask("GET", f"/attempts/{attempt}/{below}")
    session = ask("GET", "/sessions?active=false")["items"][0]["id"]
    _pages(ask, f"/sessions/{session}/messages?")
    ask("GET", "/tickets/CTX-2")
    ask("GET", "/settings")


def _read_work(ask, secret):
    for wanted in ("", "project=CTX", "ticket=CTX-3", "status=lost", "status=running"):
        for more in ("", "active=true", "active=false", "runner=r-2"):
            _pages(ask, f"/attempts?{wanted}&{more}", secret)
    for wanted in ("", "project=TWO", "status=failed", "project=TWO&status=failed"):
        _pages(ask, f"/batches?{wanted}", secret)
    for path in ("/profiles", "/agents", "/runners", "/projects/CTX/memory?prefix=a"):
        _pages(ask, f"{path}?" if "?" not in path else path, secret)


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
    reconciler.triggering.wait()
    reconciler.tick(20.0)
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
    for attempt in ask("GET", "/attempts?active=true")["items"]:
        if attempt["status"] == "queued":
            ask("POST", f"/attempts/{attempt['id']}/stop")
        else:
            ask("POST", f"/attempts/{attempt['id']}/end", generation=1, status="failed")
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
