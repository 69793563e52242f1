"""The board, what opens over it, and the other full screens, as models to be drawn.

Every scene is reached as a person reaches it, by messages and keys, at a fixed time.
"""

from cortex_cli.board import asks as a
from cortex_cli.board import changes as ch
from cortex_cli.board import keeping
from cortex_cli.board import messages as m
from cortex_cli.board.model import Model
from cortex_cli.board.settings import Settings
from cortex_cli.board.wire import Board, Ticket
from tests.board import samples, test_dashboard, test_events_pane, test_everything, test_needs
from tests.board.samples import NOW, feed, live, press

EVIL = "\x1b]0;pwned\x07\x1b[31mred\x1b[0m \x9b2J\u202egnp.exe\u202c a\x00b\x08c\u200bd \ue000"
CHOICES = (a.Choice("opencode", "", True), a.Choice("claude", "careful", False))
PROJECTS = (("CTX", "Cortex"), ("OPS", "Operations"), ("WEB", "The website of the company"))

# --- boards


def agents():
    """A card for each state."""
    works = [
        samples.attempt(1, "CTX-3", "running", stage="executing", progress="writing tests",
                        session="s1", branch="cortex/CTX-3-stream-1", runner="r-1",
                        git={"branch": "b", "head": "h", "ahead": 2, "behind": 0, "changed": 3},
                        todos=[{"text": "Read", "status": "completed"},
                               {"text": "Write", "status": "in_progress"},
                               {"text": "Test", "status": "pending"}]),
        samples.attempt(2, "CTX-4", "waiting", session="s2"),
        samples.attempt(3, "CTX-1", "failed", reason="exit code 1"),
        samples.attempt(4, "CTX-2", "queued", agent="claude"),
        samples.attempt(5, "CTX-5", "succeeded"),
    ]  # fmt: skip
    sessions = [
        samples.session(1, "CTX-3", attempt="a1"),
        samples.session(2, "CTX-4", "awaiting_input", attempt="a2"),
        samples.session(3, "CTX-5", stale=True),
    ]
    asks = {"title": "Run a command?", "detail": "rm -r build && make", "attempt": "a2"}
    asked = [samples.permission(n, "CTX-4", session="s2", **asks) for n in (1, 2)]
    return live(samples.board(attempts=works, sessions=sessions, permissions=asked))


STATES = ("queued", "starting", "running", "waiting", "stopping", "failed", "lost", "cancelled",
          "succeeded")  # fmt: skip


def states():
    """Every state that an attempt has, and those of sessions that belong to none."""
    works = [samples.attempt(n, f"CTX-{n}", state) for n, state in enumerate(STATES, 1)]
    loose = (
        {}, {"status": "starting"}, {"status": "idle"}, {"status": "awaiting_input"},
        {"status": "error"}, {"stale": True}, {"status": "ended"},
        {"status": "ended", "outcome": "failed"},
    )  # fmt: skip
    sessions = [samples.session(n, f"CTX-{n}", **one) for n, one in enumerate(loose, 10)]
    column = {1: "backlog", 2: "progress", 3: "review", 4: "done"}
    tickets = [samples.ticket(n, column[1 + (n - 1) // 5]) for n in range(1, 10 + len(loose))]
    return live(samples.board(tickets=tickets, attempts=works, sessions=sessions, reviews=[]))


TITLES = (
    "Resume a stream without a gap after the server was restarted", "Write the parser",
    "Draw only the rows that changed", "Ask before a branch is deleted", "Sort by the last word",
    "A note on backups", "Say in the header how old the board is", "Fix the lease",
    "Redact tokens in transcripts as they come in, before they are stored anywhere", "Speed",
    "Count what waits", "Move several cards at once", "Wake on one byte", "Retry with jitter",
    "Show reviews", "Tidy up worktrees that nobody uses any more", "Merge a batch", "Fold keys",
    "Cache the first frame", "Bell and OSC 9", "Search in the log", "Undo", "Redo", "Colours",
)  # fmt: skip


def busy():
    """What somebody with five agents has open all day."""
    where = ["backlog"] * 11 + ["progress"] * 5 + ["review"] * 3 + ["done"] * 5
    extra = {
        1: {"priority": "urgent", "labels": ["stream", "bug"], "assignee": "anna"},
        3: {"priority": "high", "labels": ["ui"]}, 4: {"labels": ["safety"], "assignee": "jo"},
        6: {"priority": "low"}, 9: {"priority": "medium", "labels": ["security", "runner"]},
        12: {"priority": "high"}, 13: {"labels": ["ui", "speed"]}, 17: {"assignee": "anna"},
    }  # fmt: skip
    tickets = [
        samples.ticket(n, status, title=title, **extra.get(n, {}))
        for n, (status, title) in enumerate(zip(where, TITLES, strict=True), 1)
    ]
    works = [
        samples.attempt(1, "CTX-12", "running", stage="executing", session="s1"),
        samples.attempt(2, "CTX-13", "waiting", session="s2", agent="claude"),
        samples.attempt(3, "CTX-14", "running", stage="pushing", session="s3"),
        samples.attempt(4, "CTX-15", "failed", reason="exit code 1"),
        samples.attempt(5, "CTX-16", "queued"),
        samples.attempt(6, "CTX-17", "succeeded", agent="claude"),
    ]
    sessions = [
        samples.session(1, "CTX-12", attempt="a1", tool="bash"),
        samples.session(2, "CTX-13", "awaiting_input", attempt="a2"),
        samples.session(3, "CTX-14", attempt="a3"),
    ]
    asked = [samples.permission(1, "CTX-13", attempt="a2", session="s2")]
    reviews = [samples.review(1, "CTX-17"), samples.review(2, "CTX-18")]
    labels = [samples.label(1, "ui"), samples.label(2, "bug")]
    body = {"tickets": tickets, "attempts": works, "sessions": sessions, "labels": labels}
    return live(samples.board(permissions=asked, reviews=reviews, **body))


def texts():
    """Titles that are wide, combined, joined, from the right, harmful, long, or nothing at all."""
    titles = (
        "日本語のチケットを端末の幅に合わせて表示する、とても長い題名です",
        "e\u0301te\u0301 nai\u0308ve Z\u0351\u0352\u0353\u0354algo",
        "👩\u200d💻 joined, 👍🏽 toned, 🇩🇪 a flag, ❤\ufe0f a heart", "שלום עולם, and مرحبا",
        EVIL, "word " * 60, "x" * 300, " ",
    )  # fmt: skip
    column = ("backlog", "backlog", "progress", "progress", "review", "review", "done", "done")
    found = [
        samples.ticket(n, status, title=title, assignee=title[:9], labels=[title[:12]])
        for n, (status, title) in enumerate(zip(column, titles, strict=True), 1)
    ]
    working = [samples.session(n, f"CTX-{n}", agent=titles[n - 1]) for n in range(1, 8)]
    name = samples.project(name="端末 " + EVIL)
    return live(samples.board(tickets=found, sessions=working, reviews=[], project=name))


def over():
    """More in progress than its limit allows, and a column longer than the screen."""
    many = [samples.ticket(n, "progress") for n in range(1, 41)]
    return press(live(samples.board(tickets=many, reviews=[], sessions=[])), "l", *["j"] * 25)[0]


# --- the connection


def cached():
    """That of the last time, while the server is not there yet."""
    kept = m.Keep(project="CTX", board=Board.read(samples.board()), as_of=NOW - 125,
                  selected="t003", focus="progress")  # fmt: skip
    model = keeping.begin(Model(project="CTX", width=120, height=30), kept)
    return feed(model, m.Tick(NOW), m.Resized(120, 30))[0]


def unconnected(*messages):
    model = Model(project="CTX", url="http://127.0.0.1:4747", width=120, height=30, now=NOW)
    return feed(model, *messages)[0]


def lost(retry_in=30.0, attempt=9, later=125):
    why = "connection refused"
    return feed(live(), m.Lost(1, why, retry_in, attempt), m.Tick(NOW + later))[0]


def polling():
    fetched = m.Snapshot(1, samples.board(), True)
    return feed(live(), m.Lost(1, "x", 30.0, 8), fetched, m.Tick(NOW + 12))[0]


def ended():
    return feed(live(), m.Ended(1, "revoked", False))[0]


# --- what opens over the board


def delete(*keys):
    return press(live(), "D", "2", *keys)[0]


def start():
    return feed(press(live(), "s")[0], a.AgentsLoaded("CTX-1", CHOICES))[0]


def projects(more=0):
    found = PROJECTS + tuple((f"P{n}", f"Project number {n}") for n in range(more))
    return feed(press(live(), "p")[0], m.ProjectsLoaded(found))[0]


def asked(**changes):
    """The question of an agent, as it is answered."""
    one = samples.permission(1, "CTX-4", session="s2", attempt="a2", **changes)
    works = [samples.attempt(2, "CTX-4", "waiting", session="s2")]
    sessions = [samples.session(2, "CTX-4", "awaiting_input", attempt="a2")]
    found = samples.board(attempts=works, permissions=[one], sessions=sessions)
    return press(live(found), "l", "j", "a")[0]


def multiple():
    options = [
        {"id": str(n), "label": label, "description": about}
        for n, (label, about) in enumerate(
            (("Tests", "all of them"), ("Documentation", None), ("A changelog line", None))
        )
    ]
    words = {"title": "What shall I add?", "detail": "What shall I add?\nI have time for two."}
    model = asked(kind="question", multiple=True, free_text=True, options=options, **words)
    return press(model, " ", "j", " ")[0]


def long_question():
    detail = "\n".join(f"{n}. step of a plan that goes on for long" for n in range(1, 40))
    return asked(title="May I do all of this?", detail=detail)


def own_words():
    words = {"kind": "question", "title": "Which port?", "detail": "Which port is free?"}
    return press(asked(options=[], free_text=True, **words), *"4748, I think")[0]


def conflict():
    """A text from the editor that somebody else was in the way of."""
    model, [effect] = press(live(), "e")
    job = effect.job.but(path="/home/anna/.local/state/cortex/drafts/CTX-1.md")
    text = effect.job.start.replace("Write the parser", "Write the other parser")
    model, [sent] = feed(model, ch.Written(job, text, False))
    kept = {"labels": ["ui"], "priority": "high"}
    now = Ticket.read(samples.ticket(1, title="Theirs", revision=5, **kept))
    why = ch.RowRefused("t001", "it was changed meanwhile", now)
    return feed(model, ch.Altered(sent.number, (), (why,)))[0]


def put_back():
    return feed(press(live(), "L")[0], m.MoveRefused("t001", "Limit 3."))[0]


def copied():
    return feed(live(), m.Copied("CTX-1", (), True))[0]


def unbound():
    """Keys of the user's own in hints and help."""
    keys = (("board", "open", ("o",)), ("board", "comment", ("ctrl-k",)), ("board", "edit", ()))
    model = Model(project="CTX", width=120, height=30, now=NOW, settings=Settings(keys=keys))
    return feed(model, m.Connected(1, False), m.Snapshot(1, samples.board()))[0]


# --- other full screens


def dashboard(**changes):
    return feed(press(live(), "d")[0], m.Overview(-1, test_dashboard.overview(**changes)))[0]


def many_projects():
    rows = [test_dashboard.counts(f"P{n}", f"Project number {n}") for n in range(1, 30)]
    return press(dashboard(projects=rows), *["j"] * 25)[0]


def everything():
    return test_everything.opened(test_everything.CTX, test_everything.OPS)


def fetching_everything():
    model, _ = press(live(), "P")
    state = test_everything.state(test_everything.OPS, test_everything.CTX)
    got = m.Snapshot(2, test_everything.OPS, fetched=True)
    return feed(model, m.Connected(2, False), m.Snapshot(2, state), got)[0]


def needs(*keys, **changes):
    return press(test_needs.opened(**changes), *keys)[0]


def many_needs():
    asked = [
        samples.permission(n, f"CTX-{1 + n % 5}", title=f"May I do the thing number {n}?")
        for n in range(1, 40)
    ]
    return press(test_needs.opened(permissions=asked), *["j"] * 30)[0]


def nobody():
    return press(live(samples.board(sessions=[], reviews=[])), "A")[0]


def events(*keys):
    moved = samples.ticket(1, "done") | {
        "changed": {"status": {"from": "backlog", "to": "done"}}, "ticket": "CTX-1",
    }  # fmt: skip
    arrived = test_events_pane.arrived
    model = test_events_pane.opened(
        *test_events_pane.comments(11, 40),
        arrived("session.started", samples.session(9, "CTX-2"), 41),
        arrived("permission.asked", samples.permission(1, "CTX-4"), 42),
        m.Lost(1, "The server is gone.", 2.0, 1), m.Connected(1, True),
        arrived("comment.added", samples.comment(90, "CTX-1", EVIL), 43),
        arrived("ticket.moved", moved, 44),
    )  # fmt: skip
    return press(model, *keys)[0]


BOARD_SCENES = {
    "board": live,
    "busy": busy,
    "busy-waiting": lambda: press(busy(), "l", "j")[0],
    "busy-done": lambda: press(busy(), "l", "l", "l")[0],
    "busy-end": lambda: press(busy(), "G")[0],
    "agents": agents,
    "states": states,
    "texts": texts,
    "texts-3": lambda: press(texts(), "l", "l", "j")[0],
    "over": over,
    "empty": lambda: live(samples.board(tickets=[], sessions=[], reviews=[])),
    "marks": lambda: press(busy(), " ", " ", "l", " ")[0],
    "marks-hidden": lambda: press(busy(), " ", " ", "/", *"!ask !stream", "enter")[0],
    "sorted": lambda: press(busy(), "o", "2")[0],
    "filtered": lambda: press(busy(), "/", *"#ui", "enter")[0],
    "filtered-nothing": lambda: press(busy(), "/", *"nowhere", "enter")[0],
    "needs-me": lambda: press(busy(), "F")[0],
    "saving": lambda: press(live(), "n", *"Fix it", "enter", "k", "L")[0],
    "put-back": put_back,
    "archived": lambda: press(live(), "D", "1")[0],
    # the connection
    "cached": cached,
    "connecting": unconnected,
    "unreachable": lambda: unconnected(m.Lost(1, "Connection refused.", 4.0, 3)),
    "no-project": lambda: Model(width=120, height=30, now=NOW),
    "reconnecting": lambda: lost(6.0, 3, 2),
    "offline": lost,
    "polling": polling,
    "ended": ended,
    # what opens over the board
    "menu": lambda: press(live(), "m")[0],
    "menu-start": start,
    "menu-loading": lambda: press(live(), "s")[0],
    "menu-delete": lambda: press(live(), "D")[0],
    "menu-sort": lambda: press(live(), "o", "j")[0],
    "menu-project": projects,
    "menu-many": lambda: press(projects(60), *["j"] * 33)[0],
    "answer": asked,
    "answer-multiple": multiple,
    "answer-long": long_question,
    "answer-words": own_words,
    "prompt-new": lambda: press(live(), "n", *"Fix it")[0],
    "prompt-long": lambda: press(live(), "n", *"A title that is longer than its line. " * 4)[0],
    "prompt-comment": lambda: press(live(), "c", *"Well done")[0],
    "prompt-filter": lambda: press(live(), "/", *"!parser")[0],
    "prompt-paste": lambda: feed(press(live(), "c")[0], m.Pasted("one\ntwo\nthree"))[0],
    "delete": delete,
    "delete-wrong": lambda: delete(*"CTX-2", "enter"),
    "delete-marked": lambda: press(live(), " ", " ", "D", "2")[0],
    "palette": lambda: press(live(), ":")[0],
    "palette-found": lambda: press(live(), ":", *"re")[0],
    "palette-nothing": lambda: press(live(), ":", *"xyzzy")[0],
    "help": lambda: press(live(), "?")[0],
    "help-end": lambda: press(live(), "?", "G")[0],
    "help-own-keys": lambda: press(unbound(), "?")[0],
    "own-keys": unbound,
    "conflict": conflict,
    "toast": copied,
    "toast-refusal": lambda: press(live(), "z")[0],
    "toast-paste": lambda: feed(live(), m.Pasted("x"))[0],
    # other full screens
    "dashboard": dashboard,
    "dashboard-empty": lambda: dashboard(projects=[], needs=[], attempts=[], runners=[]),
    "dashboard-many": many_projects,
    "dashboard-connecting": lambda: press(live(), "d")[0],
    "everything": everything,
    "everything-fetching": fetching_everything,
    "needs": needs,
    "needs-review": lambda: needs("j", "j", "j"),
    "needs-failed": lambda: needs("G"),
    "needs-many": many_needs,
    "needs-empty": nobody,
    "needs-answer": lambda: needs("j", "a"),
    "events": events,
    "events-paused": lambda: feed(events("k", "k"), *test_events_pane.comments(45, 47))[0],
    "events-payload": lambda: events("k", "enter"),
    "events-filtered": lambda: events("/", *"!comment", "enter"),
    "events-nothing": lambda: events("/", *"nothing", "enter"),
}
