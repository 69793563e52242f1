"""The board's part of the configuration file: what it sets, and what is said of its mistakes."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cortex_cli.board import key_names, keymap, keys, settings, settings_file
from cortex_cli.board.help_lines import lines
from cortex_cli.board.keyboard import Keyboard
from cortex_cli.board.model import Model
from cortex_cli.board.settings import BadSettings, Settings
from cortex_cli.board.view import view
from tests.board.samples import live, press


def checked(text: str) -> tuple[Settings, list[str]]:
    return settings_file.check(tomllib.loads(text).get("board", {}))


def with_keys(text: str) -> Model:
    found, mistakes = checked(f"[board.keys]\n{text}")
    assert mistakes == []
    return Model(**{**vars(live()), "settings": found})


def mistakes(text: str) -> list[str]:
    return checked(f"[board.keys]\n{text}")[1]


# --- the file


def test_without_a_file_all_is_as_it_comes_and_nothing_is_imported_for_it(tmp_path):
    code = (
        "import sys; from cortex_cli.board import settings as s;"
        f"assert s.load({{'XDG_CONFIG_HOME': {str(tmp_path)!r}}}) == s.Settings();"
        "assert not {'tomllib', 'cortex_cli.board.settings_file'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stderr == ""


def test_the_file_of_the_server_is_read_and_only_the_board_taken(tmp_path):
    path = tmp_path / "cortex" / "config.toml"
    path.parent.mkdir()
    path.write_text('heartbeat_s = 5\n[board]\nbell = false\nsort = "due"\n[board.keys]\nnew = "N"')
    path.write_text(path.read_text().replace('new = "N"', 'new = "f2"'))

    found = settings.load({"XDG_CONFIG_HOME": str(tmp_path)})
    assert found == Settings(bell=False, sort="due", keys=(("board", "new", ("f2",)),))
    assert settings.load({"CORTEX_CONFIG": str(path), "XDG_CONFIG_HOME": "/"}) == found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[board\n", "line 1"),
        (b"a = 1\nb = \n", "line 2"),
        (b'x = "\xff"', "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(tmp_path, content, said):
    path = tmp_path / "config.toml"
    path.mkdir() if content is None else path.write_bytes(content)

    with pytest.raises(BadSettings) as error:
        settings.load({"CORTEX_CONFIG": str(path)})
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)


def test_a_file_that_was_named_has_to_be_there(tmp_path):
    with pytest.raises(BadSettings, match="does not exist"):
        settings.load({"CORTEX_CONFIG": str(tmp_path / "none")})


def test_every_mistake_is_told_at_once(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[board]\nbell = 1\nsort = "x"\n[board.keys]\nopne = "o"')

    with pytest.raises(BadSettings) as error:
        settings.load({"CORTEX_CONFIG": str(path)})
    assert len(error.value.mistakes) == 3
    assert str(error.value).count("\n  [board") == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("board = 3", "board = 3: it takes a table"),
        ("[board]\nbell = 1", "[board] bell = 1: it takes true or false."),
        ("[board]\nbel = true", "did you mean bell?"),
        ("[board]\nsort = []", 'it takes one of "rank", "priority"'),
        ("[board]\nkeys = []", "it takes a table, `[board.keys]`"),
    ],
)
def test_a_wrong_setting_says_what_is_possible(text, said):
    found, wrong = checked(text)

    assert found == Settings()
    assert len(wrong) == 1
    assert said in wrong[0]


# --- keys


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('opne = "o"', 'opne = "o": there is no action "opne"; did you mean open?'),
        ('"detial.close" = "w"', "did you mean detail?"),
        ('"board.say" = "w"', "say is an action of detail, not of board."),
        ('new = "ctl-x"', "did you mean ctrl-x?"),
        ("new = 5", "it takes a key such as"),
        ('new = ["w", 5]', "it takes a key such as"),
        ('new = "ctrl-c"', "^c never arrives: the terminal interrupts with it"),
        ('new = "^i"', "it is what Tab sends"),
        ('erase = "w"', "w is text where one types"),
        ('menu-first = "7"', "7 takes entry 7"),
        ('"detail.comment" = "m"', "m is the key of move already (in detail); give move another"),
        ("quit = []", "it takes at least one"),
        ('"board.help" = []', "it takes at least one"),
        ("close = []", "it takes at least one"),
    ],
)
def test_a_wrong_key_names_its_line_and_what_is_possible(text, said):
    found = mistakes(text)

    assert len(found) == 1
    assert found[0].startswith("[board.keys] ")
    assert said in found[0]


def test_a_key_that_another_action_gave_up_is_free():
    model = with_keys('comment = "m"\nmove = "f5"')

    assert press(model, "m")[0].overlay.kind == "comment"
    assert press(model, "f5")[0].scope == "menu"
    assert press(model, "c")[0] == model


def test_two_actions_may_change_their_keys_with_each_other():
    model = with_keys('comment = "m"\nmove = "c"')

    assert press(model, "c")[0].scope == "menu"


def test_a_scope_of_its_own_wins_and_the_others_keep_theirs():
    for text in ('"detail.copy" = "w"', 'detail.copy = "w"', 'detail.copy = "w"\ncopy = "f3"'):
        opened = press(with_keys(text), "enter")[0]
        assert keymap.find(opened, "w").action == "copy"
        assert keymap.find(opened, "y") is None
    assert keymap.find(with_keys('"detail.copy" = "w"'), "y").action == "copy"


def test_no_key_unbinds_and_the_wheel_stays():
    model = with_keys("down = []\nundo = []")

    assert press(model, "j", "z")[0] == model
    assert press(model, "wheel-down")[0] != model


def test_hints_help_and_the_row_of_keys_show_what_is_in_effect():
    model = with_keys('help = "f1"\nopen = ["w", "enter"]\nnew = []')

    assert ("w", "open") in keymap.hints(model)
    assert "new" not in [word for _, word in keymap.hints(model)]
    assert "F1 help" in "".join(span.text for span in view(model, 120, 30)[-1])
    helped = {text: pressed for pressed, text, _ in lines(model)}
    assert helped["Open the ticket"] == "w Enter"
    assert press(model, "f1")[0].scope == "help"


def test_the_changes_go_with_the_user_to_another_project():
    model = with_keys('help = "f1"')
    model = press(model, ":", *"projects", "enter")[0]
    from cortex_cli.board.actions import switch

    assert switch(model, "OPS")[0].settings == model.settings


@pytest.mark.parametrize(
    ("written", "name", "sent"),
    [
        ("x", "x", b"x"),
        ("é", "é", "é".encode()),
        ("^", "^", b"^"),
        ("space", " ", b" "),
        ("^X", "ctrl-x", b"\x18"),
        ("Ctrl+S", "ctrl-s", b"\x13"),
        ("F5", "f5", b"\x1b[15~"),
        ("f12", "f12", b"\x1b[24~"),
        ("Shift-Tab", "backtab", b"\x1b[Z"),
        ("escape", "esc", b"\x1b"),
        ("Return", "enter", b"\r"),
        ("PageDown", "pgdn", b"\x1b[6~"),
        ("ins", "insert", b"\x1b[2~"),
        ("alt-Y", "alt-Y", b"\x1bY"),
        ("alt-ctrl-x", "alt-ctrl-x", b"\x1b\x18"),
        ("ctrl-left", "ctrl-left", b"\x1b[1;5D"),
        ("shift-f3", "shift-f3", b"\x1b[1;2R"),
    ],
)
def test_the_name_of_a_key_is_that_of_what_the_terminal_sends(written, name, sent):
    keyboard = Keyboard()
    pressed = keyboard.feed(sent, 0.0) or keyboard.flush()

    assert key_names.parse(written) == name
    assert [key.name for key in pressed] == [name]
    assert keys.title(name)


@pytest.mark.parametrize(
    "text", ["", "xx", "ctrl-", "ctrl-é", "shift-a", "alt-O", "f13", "wheel-up", "\n"]
)
def test_what_is_no_key_is_refused_with_what_there_is(text):
    with pytest.raises(key_names.NoSuchKey, match="f1 to f12"):
        key_names.parse(text)


def test_every_key_of_the_table_can_be_written_in_the_file():
    for binding in keys.TABLE:
        for key in binding.keys:
            if not key.startswith("wheel-"):
                assert key_names.parse(key_names.written(key)) == key


# --- the help


def test_the_help_begins_with_the_screen_that_is_open_and_says_what_is_not_available():
    opened = press(live(), "enter", "?")[0]
    shown = lines(opened)

    assert shown[0] == ("", "Ticket", "")
    board = lines(press(live(), "?")[0])
    refusals = {text: refusal for _, text, refusal in reversed(board)}
    assert refusals["Copy the ticket's key"] == ""
    assert refusals["Move the card to the column on the left"] == "This is the first column."


def test_all_of_the_help_can_be_scrolled_to():
    model = press(live(width=80, height=40), "?")[0]
    seen: set[str] = set()
    while True:
        seen |= {"".join(span.text for span in row) for row in view(model, 80, 40)}
        after = press(model, "pgdn")[0]
        if after == model:
            break
        model = after
    text = "\n".join(seen)
    assert [heading for heading in keys.SCOPES.values() if heading not in text] == []
    assert [b.action for b in keys.TABLE if b.help[:40] not in text] == []
    assert press(model, "g")[0].overlay.top == 0


@pytest.mark.parametrize("size", [(200, 50), (120, 30), (40, 12), (20, 5)], ids=str)
def test_the_end_of_the_help_is_its_last_line(size):
    model = press(live(width=size[0], height=size[1]), "?", "G")[0]

    assert press(model, "j", "pgdn")[0] == model
    rows = ["".join(span.text for span in row) for row in view(model, *size)]
    assert [row for row in rows if "Leave" in row]  # the palette, menus and last the help
    # its keys may need a row more, and of two columns the right one may be shorter
    assert size[1] > 36 or any("Leave" in row for row in rows[-4:-2])
    up = press(model, "k")[0]
    assert up == model or view(up, *size) != view(model, *size)


def test_the_page_on_configuration_shows_every_setting_with_its_default():
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    example = page.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    found, wrong = checked(example)

    assert wrong == []
    assert found.but(keys=()) == Settings()
    assert set(tomllib.loads(example)["board"]) == {*settings_file.SETTINGS, "keys"}
    assert set(settings_file.SETTINGS) == {*Settings._fields} - {"keys"}


def test_sentences_name_the_keys_that_are_in_effect():
    def said(text):
        return press(press(with_keys(text), "enter")[0], "i")[0].toasts[-1].text

    assert said('copy = "f2"').endswith(": s starts one.")
    assert said('start = "f4"').endswith(": F4 starts one.")
    assert said("start = []").endswith(": :start starts one.")
