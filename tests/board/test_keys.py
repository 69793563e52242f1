"""The key table: every key is documented, does something, and says when it cannot."""

import pytest

from cortex_cli.board import actions, keymap, keys, reference
from cortex_cli.board import messages as m
from cortex_cli.board.help_lines import lines
from cortex_cli.board.model import Model
from cortex_cli.board.view import view
from tests.board import samples
from tests.board.samples import feed, live, press

# What the issue asks for, by scope.
ASKED = {
    "board": "h j k l left down up right g G home end ctrl-d ctrl-u pgdn pgup enter esc H L J K "
    "m n c / y r z ? F p s x a R d ctrl-l ctrl-z q",
    "detail": "[ ] esc c m y r ? f s x a R i X ctrl-d ctrl-u pgdn pgup g G j k ctrl-l ctrl-z q",
}


def test_every_action_of_the_table_exists_and_no_other():
    assert {binding.action for binding in keys.TABLE} == set(actions.ACTIONS)


@pytest.mark.parametrize("scope", ASKED)
def test_every_key_that_was_asked_for_is_bound(scope):
    bound = keymap.keymap().bindings

    assert not [key for key in ASKED[scope].split() if (scope, key) not in bound]


def test_an_action_has_one_row_in_a_scope():
    rows = [(scope, binding.action) for binding in keys.TABLE for scope in binding.scopes]

    assert len(rows) == len(set(rows))


def test_no_key_means_two_things_in_one_scope():
    bound = [(scope, key) for b in keys.TABLE for scope in b.scopes for key in b.keys]

    assert len(bound) == len(set(bound))


def test_every_binding_is_documented():
    help_text = {text for _, text, _ in lines(live())}
    page = reference.keys_md()

    for binding in keys.TABLE:
        assert binding.help in help_text
        assert binding.help in page
        for key in binding.keys:
            assert f"`{keys.title(key)}`" in page


def scopes():
    board = live()
    detail, _ = press(board, "enter")
    return {
        "board": board,
        "detail": detail,
        "menu": press(board, "m")[0],
        "prompt": press(board, "n")[0],
        "palette": press(board, ":")[0],
        "needs": press(board, "A")[0],
        "events": press(board, "v")[0],
        "dashboard": press(board, "d")[0],
        "help": press(board, "?")[0],
    }


@pytest.mark.parametrize("scope", keys.SCOPES)
def test_every_key_is_reachable(scope):
    """In its scope each key changes something, asks for something, or says why not."""
    model = scopes()[scope]
    assert model.scope == scope
    for binding in keys.TABLE:
        if scope not in binding.scopes:
            continue
        refusal = binding.refusal(model)
        for key in binding.keys:
            after, effects = press(model, key)
            if refusal:
                assert after.toasts[-1].text == refusal
                assert not effects


@pytest.mark.parametrize("scope", keys.SCREENS)
def test_palette_and_help_open_over_every_screen_and_esc_comes_back(scope):
    model = scopes()[scope]
    for key, name in ((":", "palette"), ("ctrl-p", "palette"), ("?", "help")):
        opened, _ = press(model, key)
        assert (opened.scope, opened.screen) == (name, scope)
        assert press(opened, "esc")[0] == model


def test_escape_never_quits():
    for model in (*scopes().values(), Model()):
        assert m.Quit() not in press(model, "esc", "esc", "esc")[1]


def test_a_key_that_is_not_bound_does_nothing():
    model = live()

    assert press(model, "ctrl-t", "Q", "é")[0] == model


def test_without_a_board_keys_say_that_it_is_connecting():
    model, effects = feed(Model(project="CTX"), m.Key("n"))

    assert effects == []
    assert "still connecting" in model.toasts[-1].text


def test_the_hints_name_keys_that_exist():
    for scope, model in scopes().items():
        titles = {keys.title(k) for b in keys.TABLE if scope in b.scopes for k in b.keys}
        assert {key for key, _ in keymap.hints(model)} <= titles


def test_the_hints_name_only_what_can_be_done_now():
    waits = live(samples.board(permissions=[samples.permission(1, "CTX-1")]))

    assert ("a", "answer") in keymap.hints(waits)
    assert ("a", "answer") not in keymap.hints(live())


@pytest.mark.parametrize("width", range(20, 130, 7))
def test_how_to_find_the_other_keys_is_named_at_every_width(width):
    waits = live(samples.board(permissions=[samples.permission(1, "CTX-1")]), width, 24)

    assert "? help" in "".join(span.text for span in view(waits, width, 24)[-1])
