"""Tickets and texts that are written in the user's editor."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from cortex_cli import sdk
from cortex_cli.board import calls, writing
from cortex_cli.board import changes as ch
from cortex_cli.board import messages as m
from cortex_cli.board.model import Menu, Prompt
from cortex_cli.board.wire import Ticket
from tests.board import samples
from tests.board.samples import feed, live, press
from tests.board.screen import PROGRAM, Terminal, python
from tests.board.test_marks import answered, keys, sent
from tests.board.test_view import as_text

PATH = "/state/drafts/CTX-1-x.md"


def back(effect, edit, path=PATH, unchanged=False):
    """What comes of an editor in which `edit` was done to the text."""
    text = edit(effect.job.start) if callable(edit) else edit
    return ch.Written(effect.job.but(path=path), text, unchanged)


def swap(old, new):
    def edit(text):
        assert old in text
        return text.replace(old, new)

    return edit


def edited(*edits, model=None):
    """The model after an edit of CTX-1, and what it asked for."""
    model, [effect] = press(model or live(), "e")
    text = effect.job.start
    for old, new in edits:
        text = swap(old, new)(text)
    return feed(model, back(effect, text))


def test_the_whole_ticket_is_offered_as_a_text():
    _, [effect] = press(live(), "e")

    assert isinstance(effect, ch.EditText)
    assert effect.look
    for line in ("title: Write the parser", "type: work", "status: backlog", "tags:\n- ui",
                 "priority: high", "assignee: ''", "due: ''", "references: []",
                 "depends_on: []"):  # fmt: skip
        assert line in effect.job.start


def test_only_what_was_changed_is_sent_and_a_repeat_undoes_it():
    model, effects = edited(("priority: high", "priority: low"), ("- ui", "- ui\n- api"))

    assert sent(effects) == [("CTX-1", {"priority": "low", "labels": ["api", "ui"]}, 1)]
    model, more = feed(model, answered(effects[0]))
    assert more == [ch.Discard(PATH)]
    assert "changed; z undoes it" in model.toasts[-1].text

    model, effects = press(model, "z")
    assert sent(effects) == [("CTX-1", {"labels": ["ui"], "priority": "high"}, 2)]


def test_a_new_status_moves_the_card_at_once_and_undo_brings_it_to_its_place():
    model, effects = edited(("status: backlog", "status: done"))
    assert keys(model, 3) == ["CTX-1"]

    model, _ = feed(model, answered(effects[0]))

    assert press(model, "z")[1] == [m.Move("t001", "backlog", 0, 2)]


def test_the_line_end_that_editors_add_is_no_change():
    ticket = samples.ticket(1, body="No end")
    model, [effect] = press(live(samples.board(tickets=[ticket])), "e")

    model, effects = feed(model, back(effect, lambda text: text + "\n"))

    assert effects == [ch.Discard(PATH)]
    assert model.toasts[-1].text == "Nothing was changed."


def test_unchanged_means_cancelled():
    model, [effect] = press(live(), "e")

    model, effects = feed(model, back(effect, effect.job.start, unchanged=True))

    assert effects == [ch.Discard(PATH)]
    assert model.toasts[-1].text == "Nothing was changed."


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (swap("priority: high", "priority: hgih"), "Line 7: priority must be one of"),
        (swap("priority: high", "prioriti: high"), "Line 7: there is no 'prioriti'"),
        (swap("title: Write", "title: [Write"), "Line "),
    ],
    ids=["value", "key", "yaml"],
)
def test_a_text_that_cannot_be_read_is_kept_and_told_with_its_path_and_line(edit, told):
    model, [effect] = press(live(), "e")

    model, effects = feed(model, back(effect, edit))

    assert effects == []
    assert isinstance(model.overlay, Menu)
    shown = " ".join(as_text(model).split())
    assert told in shown
    assert PATH in shown
    model, [again] = press(model, "1")
    assert again == ch.EditText(effect.job.but(path=PATH))
    model, effects = feed(model, back(again, swap("priority: high", "priority: low")))
    assert sent(effects) == [("CTX-1", {"priority": "low"}, 1)]


def theirs(**changes):
    return Ticket.read(samples.ticket(
        1, title="Write the parser", labels=["ui"], priority="high", revision=5,
    ) | changes)  # fmt: skip


def refused(effect, current):
    return ch.Altered(effect.number, (), (ch.RowRefused("t001", "somebody changed it", current),))


def test_what_others_changed_elsewhere_is_no_conflict():
    model, effects = edited(("priority: high", "priority: low"))

    model, more = feed(model, refused(effects[0], theirs(body="More")))

    assert sent(more) == [("CTX-1", {"priority": "low"}, 5)]
    assert feed(model, answered(more[0]))[1] == [ch.Discard(PATH)]


def test_a_conflict_keeps_the_draft_and_offers_it_again():
    model, effects = edited(("title: Write the parser", "title: Mine"))

    model, more = feed(model, refused(effects[0], theirs(title="Theirs")))

    assert more == []
    shown = " ".join(as_text(model).split())
    assert "CTX-1 was not changed" in shown
    assert "They changed: title." in shown
    assert PATH in shown
    model, effects = press(model, "esc", "e")
    assert effects == []
    assert isinstance(model.overlay, Menu)
    assert "over what others changed" in as_text(model)

    model, [read] = press(model, "2")
    assert (read.look, read.job.path) == (False, PATH)
    text = read.job.start.replace("Write the parser", "Mine")
    model, effects = feed(model, ch.Written(read.job, text, unchanged=False))
    assert sent(effects) == [("CTX-1", {"title": "Mine"}, 5)]
    model, more = feed(model, answered(effects[0]))
    assert more == [ch.Discard(PATH)]
    assert model.kept == {}


def test_a_draft_that_was_kept_can_be_left_for_a_new_one():
    model, effects = edited(("title: Write the parser", "title: Mine"))
    model, _ = feed(model, refused(effects[0], theirs(title="Theirs")))

    model, [effect] = press(model, "3", "e", "3")

    assert "title: Theirs" in effect.job.start
    assert effect.job.path == ""


def test_a_new_ticket_is_written_with_all_its_fields():
    model, [effect] = press(live(), "l", "N")
    assert "status: progress" in effect.job.start

    text = swap("title: ''", "title: Fix it")(effect.job.start) + "Because.\n"
    model, effects = feed(model, back(effect, text))

    [create] = effects
    assert (create.title, create.status) == ("Fix it", "progress")
    assert create.fields["body"] == "Because.\n"
    assert model.columns[1].tickets[-1].title == "Fix it"  # at once
    made = Ticket.read(samples.ticket(9, "progress", title="Fix it"))
    assert feed(model, ch.Created(made, create.number))[1] == [ch.Discard(PATH)]

    model, _ = feed(model, ch.Refused("title", "Fix it", "it is too long.", create.number))
    assert PATH in as_text(model)
    assert "it is too long." in as_text(model)
    assert len(model.columns[1].tickets) == 2


def test_a_new_ticket_without_a_title_is_kept():
    model, [effect] = press(live(), "N")

    model, effects = feed(model, back(effect, lambda text: text + "Words.\n"))

    assert effects == []
    assert "a new ticket needs a title" in as_text(model)


def test_a_title_goes_on_as_a_whole_ticket():
    model, [effect] = press(live(), "n", *"Fix it", "ctrl-o")

    assert "title: Fix it" in effect.job.start
    model, _ = feed(model, back(effect, effect.job.start, unchanged=True))
    assert press(model, "n")[0].overlay.text == "Fix it"


def test_a_comment_is_written_in_many_lines():
    model, [effect] = press(live(), "c", *"One", "ctrl-o")
    assert effect.job.start == "One"

    model, effects = feed(model, back(effect, "One\n\nTwo\n"))

    assert effects == [m.AddComment("CTX-1", "One\n\nTwo", 1), ch.Discard(PATH)]
    assert model.overlay is None


def test_an_answer_is_written_in_many_lines():
    asked = samples.permission(1, "CTX-1", free_text=True, options=[], kind="question")
    model, effects = press(live(samples.board(permissions=[asked])), "a", "ctrl-o")

    model, effects = feed(model, back(effects[-1], "One\nTwo\n"))

    assert [(e.permission, e.text) for e in effects[:-1]] == [("q1", "One\nTwo")]


@pytest.mark.parametrize("how", ["unchanged", "failed"])
def test_a_prompt_stays_with_what_was_typed_when_nothing_came_of_the_editor(how):
    model, [effect] = press(live(), "c", *"One", "ctrl-o")
    answer = back(effect, "One", unchanged=True)
    if how == "failed":
        answer = ch.NotWritten(effect.job, "The editor ended with 3.")

    model, _ = feed(model, answer)

    assert isinstance(model.overlay, Prompt)
    assert model.overlay.text == "One"
    told = {"unchanged": "Nothing was written.", "failed": "The editor ended with 3."}[how]
    assert told in as_text(model)
    assert press(model, "enter")[1] == [m.AddComment("CTX-1", "One", 1)]


def test_a_filter_is_no_text_for_an_editor():
    model, effects = press(live(), "/", "ctrl-o")

    assert effects == []
    assert model.toasts[-1].refusal


def test_an_open_ticket_is_edited_too():
    _model, effects = press(live(), "enter", "j", "e")

    assert isinstance(effects[-1], ch.EditText)


def test_nothing_is_written_about_a_board_of_the_last_time():
    model, effects = press(replace(live(), cached=True), "e")

    assert effects == []
    assert model.toasts[-1].refusal


# --- the file and the program


JOB = ch.Job("ticket", "t001", "CTX-1", "the text\n")


def environ(tmp_path, command):
    return {"XDG_STATE_HOME": str(tmp_path), "VISUAL": command, "PATH": os.environ["PATH"]}


def drafts(tmp_path):
    return list((tmp_path / "cortex" / "drafts").glob("*"))


def test_the_draft_is_private_and_named_after_the_ticket(tmp_path):
    found = writing.write(JOB, environ(tmp_path, "sed -i s/text/draft/"))

    assert (found.text, found.unchanged) == ("the draft\n", False)
    path = Path(found.job.path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.name.startswith("CTX-1-")
    assert path.suffix == ".md"
    again = writing.write(found.job, environ(tmp_path, "true"))
    assert (again.text, again.unchanged, again.job.path) == ("the draft\n", True, str(path))


@pytest.mark.parametrize(
    ("command", "why"),
    [("false", "ended with 1"), ("/no/such/editor", "cannot be started"), ("'", "cannot be read")],
)
def test_an_editor_that_fails_leaves_no_file_and_says_why(tmp_path, command, why):
    found = writing.write(JOB, environ(tmp_path, command))

    assert isinstance(found, ch.NotWritten)
    assert why in found.why
    assert found.job.path == ""
    assert drafts(tmp_path) == []


def test_what_was_written_before_the_editor_failed_is_kept(tmp_path):
    found = writing.write(JOB, environ(tmp_path, "sh -c 'echo more >> $0; exit 3'"))

    assert isinstance(found, ch.NotWritten)
    assert drafts(tmp_path) == [Path(found.job.path)]
    model, _ = feed(live(), found)
    assert found.job.path in "".join(as_text(model).replace("│", "").split())


# --- a real terminal, a real server and a real program


CHANGE = """sed -i 's/^title: .*/title: {}/' "$1"\n"""


@pytest.mark.e2e
def test_edits_and_bulk_moves_reach_the_server_and_conflicts_do_not(shared_server, tmp_path):
    server = shared_server
    server.make("/projects", key="EDT", name="Edited")
    for title in ("One", "Two", "Three"):
        server.make("/projects/EDT/tickets", title=title)
    editor, gate = tmp_path / "editor", tmp_path / "gate"
    os.mkfifo(gate)
    editor.touch(mode=0o700)
    code = PROGRAM.replace('"a-token-of-the-tests"', f'"{server.token}"').replace("CTX", "EDT")
    terminal = Terminal(
        python(code, server.url), 120, 30, EDITOR=f"sh {editor}", XDG_STATE_HOME=str(tmp_path)
    )

    def run(script, *names):
        editor.write_text("echo the editor has the terminal\n" + script)
        terminal.send("".join(names) or "e")

    def title(key):
        return server.api("GET", f"/tickets/{key}").json()["title"]

    try:
        terminal.until("● live")
        run(CHANGE.format("Changed"))
        terminal.until("title of EDT-1 changed")
        assert terminal.text.count("EDT-2") == 1
        assert title("EDT-1") == "Changed"

        run("true")
        terminal.until("Nothing was changed.")
        run("exit 3")
        terminal.until("✗ The editor ended with 3.")
        assert drafts(tmp_path) == []

        run(f"cat {gate} > {gate}.out\n" + CHANGE.format("Mine"))
        terminal.until("the editor has the terminal")
        server.api("PATCH", "/tickets/EDT-1", {"title": "Theirs"})
        gate.write_text("go on")
        terminal.until("They changed: title.")
        [kept] = drafts(tmp_path)
        assert "title: Mine" in kept.read_text()
        assert title("EDT-1") == "Theirs"
        terminal.send("\x1b")
        terminal.until("Theirs")

        terminal.send("g  L")  # the first two to the next column
        terminal.until("2 cards in ")
        columns = server.api("GET", "/projects/EDT").json()["columns"]
        found = [server.api("GET", f"/tickets/EDT-{n}").json()["status"] for n in (1, 2, 3)]
        assert found == [columns[1]["name"]] * 2 + [columns[0]["name"]]
        terminal.send("z")
        terminal.until("Undone: 2 cards back in ")
        items = server.api("GET", "/projects/EDT/board").json()["tickets"]
        assert [t["key"] for t in items if t["status"] == columns[0]["name"]] == [
            "EDT-1", "EDT-2", "EDT-3"
        ]  # fmt: skip
    finally:
        terminal.close()


@pytest.mark.e2e
def test_of_many_changes_only_those_in_the_way_are_refused(shared_server):
    shared_server.make("/projects", key="MNY", name="Many")
    made = [
        shared_server.make("/projects/MNY/tickets", title=f"T {n}") for n in range(4)
    ]  # fmt: skip
    shared_server.api("PATCH", "/tickets/MNY-2", {"title": "Theirs"})
    rows = tuple(
        ch.Row("MNY", t["id"], t["key"], 1, {"status": "review"}, {}, {}) for t in made
    )  # fmt: skip
    bad = rows[2].but(fields={"status": "nowhere"})

    with sdk.CortexClient(shared_server.url, shared_server.token) as client:
        found = calls.changed(client, ch.Alter(7, (*rows[:2], bad, rows[3])))
        gone = calls.changed(client, ch.Delete(8, (rows[0], rows[2])))

    assert [ticket.key for ticket in found.tickets] == ["MNY-1", "MNY-4"]
    theirs, nowhere = found.refused
    assert (theirs.ticket_id, theirs.current.title) == (made[1]["id"], "Theirs")
    assert nowhere.why.startswith("status: ")
    assert gone.ids == (made[2]["id"],)
    assert [one.ticket_id for one in gone.refused] == [made[0]["id"]]  # it was moved since
