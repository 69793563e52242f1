"""The keys, in one table: what they are called, do, and when they do not.

The help overlay, the hints in the last row, docs/keys.md and the dispatch in update come from it.
Printable keys are their own name; the others are named as KEY_TITLES lists them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cortex_cli.board import doing, layout
from cortex_cli.board.model import Menu, Model
from cortex_cli.board.work import RETRIED

KEY_TITLES = {
    "left": "←", "right": "→", "up": "↑", "down": "↓", "home": "Home", "end": "End",
    "pgup": "PgUp", "pgdn": "PgDn", "enter": "Enter", "esc": "Esc", "tab": "Tab",
    "backtab": "Shift-Tab", " ": "Space", "backspace": "Backspace", "delete": "Del",
    "ctrl-a": "^a", "ctrl-b": "^b", "ctrl-d": "^d", "ctrl-e": "^e", "ctrl-f": "^f", "ctrl-k": "^k",
    "ctrl-l": "^l", "ctrl-u": "^u", "ctrl-w": "^w", "ctrl-z": "^z", "wheel-up": "wheel up",
    "wheel-down": "wheel down",
}  # fmt: skip

SCOPES = {
    "board": "Board",
    "detail": "Ticket",
    "dashboard": "Dashboard",
    "menu": "Menus",
    "prompt": "Input",
    "help": "Help",
}


@dataclass(frozen=True)
class Binding:
    """keys: names. scopes: where it is in effect. hint: its word in the last row, "" for none.

    refusal(model) says why the action is not available now, "" when it is.
    """

    action: str
    keys: tuple[str, ...]
    scopes: tuple[str, ...]
    help: str
    hint: str = ""
    refusal: Callable[[Model], str] = lambda model: ""


def _no_board(model: Model) -> str:
    return "" if model.board else "There is no board yet: it is still connecting."


def _no_ticket(model: Model) -> str:
    return _no_board(model) or ("" if model.ticket else "No ticket is selected.")


def _no_move(model: Model) -> str:
    refusal = _no_ticket(model)
    if not refusal and model.board and model.ticket and model.ticket.id not in model.board.tickets:
        return f"{model.ticket.key} is archived: restore it first."
    return refusal


def _no_left(model: Model) -> str:
    return _no_move(model) or ("" if layout.focus_index(model) > 0 else "This is the first column.")


def _no_right(model: Model) -> str:
    last = len(model.columns) - 1
    return _no_move(model) or (
        "" if layout.focus_index(model) < last else "This is the last column."
    )


def _no_up(model: Model) -> str:
    return _no_move(model) or ("" if layout.selected_index(model) else "This is the first card.")


def _no_down(model: Model) -> str:
    shown = model.shown
    last = len(shown.tickets) - 1 if shown else 0
    return _no_move(model) or (
        "" if layout.selected_index(model) != last else "This is the last card."
    )


def _no_undo(model: Model) -> str:
    return "" if model.undo else "There is no move to undo."


def _no_tabs(model: Model) -> str:
    detail = model.detail
    return "" if detail and (detail.sessions or detail.attempts) else "No agent worked on it yet."


def _no_start(model: Model) -> str:
    refusal = _no_move(model)
    if not refusal and model.ticket and model.ticket.key in model.intents:
        return f"An attempt on {model.ticket.key} is being started."
    return refusal


def _no_stop(model: Model) -> str:
    refusal = _no_ticket(model)
    if refusal or model.ticket is None or doing.active_of(model, model.ticket):
        return refusal
    newest = doing.newest(model, model.ticket)
    if newest is not None and newest.active:
        return f"{newest.name} is being stopped already."
    return f"No agent that the board runs works on {model.ticket.key}."


def _no_retry(model: Model) -> str:
    refusal = _no_start(model)
    if refusal or model.ticket is None:
        return refusal
    newest = doing.newest(model, model.ticket)
    if newest is None:
        return f"There was no attempt on {model.ticket.key}: s starts one."
    does = "succeeded" if newest.status == "succeeded" else f"is {newest.status}"
    return "" if newest.status in RETRIED else f"{newest.name} {does}: nothing to try again."


def _no_answer(model: Model) -> str:
    refusal = _no_ticket(model)
    if refusal or model.ticket is None:
        return refusal
    waits = doing.open_questions(model, model.ticket) or doing.open_reviews(model, model.ticket)
    return "" if waits else f"Nothing on {model.ticket.key} waits for an answer."


def _no_session(model: Model) -> str:
    session = doing.session_of(model)
    if session is None:
        return "No agent is at work here: s starts one."
    if session.status == "ended":
        return f"The session {session.title} has ended: nobody would hear it."
    return "" if session.attempt else f"{session.title} was started by hand: no runner holds it."


def _not_multiple(model: Model) -> str:
    menu = model.overlay
    return "" if isinstance(menu, Menu) and menu.multiple else "Only one can be chosen: Enter."


def _no_way_back(model: Model) -> str:
    return "" if model.project else "No project is open: Enter opens the selected one."


def _not_paused(model: Model) -> str:
    paused = model.detail is not None and model.detail.tab in model.detail.paused
    return "" if paused else "It already follows its tail."


B, D, A, M, P, H = "board", "detail", "dashboard", "menu", "prompt", "help"

TABLE: tuple[Binding, ...] = (
    Binding("left", ("h", "left"), (B,), "Column on the left"),
    Binding("down", ("j", "down", "wheel-down"), (B,), "Next card"),
    Binding("up", ("k", "up", "wheel-up"), (B,), "Previous card"),
    Binding("right", ("l", "right"), (B,), "Column on the right"),
    Binding("first", ("g", "home"), (B,), "First card of the column"),
    Binding("last", ("G", "end"), (B,), "Last card of the column"),
    Binding("half-down", ("ctrl-d",), (B, D), "Half a page down"),
    Binding("half-up", ("ctrl-u",), (B, D), "Half a page up"),
    Binding("page-down", ("pgdn",), (B, D), "A page down"),
    Binding("page-up", ("pgup",), (B, D), "A page up"),
    Binding("open", ("enter",), (B,), "Open the ticket", "open", _no_ticket),
    Binding("move-left", ("H",), (B,), "Move the card to the column on the left", "", _no_left),
    Binding("move-right", ("L",), (B,), "Move the card to the column on the right", "", _no_right),
    Binding("move-down", ("J",), (B,), "Move the card down in its column", "", _no_down),
    Binding("move-up", ("K",), (B,), "Move the card up in its column", "", _no_up),
    Binding("scroll-down", ("j", "down", "wheel-down"), (D,), "Scroll down"),
    Binding("scroll-up", ("k", "up", "wheel-up"), (D,), "Scroll up"),
    Binding("scroll-first", ("g", "home"), (D,), "To the beginning"),
    Binding("scroll-last", ("G", "end"), (D,), "To the end, and follow it"),
    Binding("previous-tab", ("[", "h", "left", "backtab"), (D,), "Previous tab", "", _no_tabs),
    Binding(
        "next-tab",
        ("]", "l", "right", "tab"),
        (D,),
        "Next tab: log, diff, sessions",
        "tabs",
        _no_tabs,
    ),
    Binding("follow", ("f",), (D,), "Follow the tail again", "", _not_paused),
    Binding("move", ("m",), (B, D), "Move to a column, from a menu", "move to", _no_move),
    Binding("new", ("n",), (B,), "New ticket in this column", "new", _no_board),
    Binding("comment", ("c",), (B, D), "Comment on the ticket", "comment", _no_ticket),
    Binding(
        "answer", ("a",), (B, D), "Answer: an agent's question, a review", "answer", _no_answer
    ),
    Binding("start", ("s",), (B, D), "Start an attempt: let an agent work", "start", _no_start),
    Binding("stop", ("x",), (B, D), "Stop the attempt", "stop", _no_stop),
    Binding(
        "retry-attempt", ("R",), (B, D), "Try the failed attempt again", "try again", _no_retry
    ),
    Binding("say", ("i",), (D,), "Say something to the agent", "say", _no_session),
    Binding("abort", ("X",), (D,), "End the agent's turn; its attempt goes on", "", _no_session),
    Binding("undo", ("z",), (B, D), "Undo the last move", "", _no_undo),
    Binding(
        "filter", ("/",), (B,), "Filter the cards; ! before a word inverts it", "filter", _no_board
    ),
    Binding(
        "needs-me",
        ("F",),
        (B,),
        "Only what needs me: questions, reviews, failures",
        "needs me",
        _no_board,
    ),
    Binding("copy", ("y",), (B, D), "Copy the ticket's key", "", _no_ticket),
    Binding("retry", ("r",), (B, D), "Connect now, or fetch the board again"),
    Binding("projects", ("p",), (B, A), "Switch to another project"),
    Binding("dashboard", ("d",), (B,), "All projects at a glance", "dashboard"),
    Binding("dashboard-open", ("enter",), (A,), "Open the board, or the ticket on it", "open"),
    Binding("dashboard-down", ("j", "down", "wheel-down"), (A,), "Next entry"),
    Binding("dashboard-up", ("k", "up", "wheel-up"), (A,), "Previous entry"),
    Binding("dashboard-page-down", ("pgdn", "ctrl-d"), (A,), "A page down"),
    Binding("dashboard-page-up", ("pgup", "ctrl-u"), (A,), "A page up"),
    Binding("dashboard-first", ("g", "home"), (A,), "First entry"),
    Binding("dashboard-last", ("G", "end"), (A,), "Last entry"),
    Binding("dashboard-retry", ("r",), (A,), "Connect now, or anew"),
    Binding("help", ("?",), (B, D, A), "This help", "help"),
    Binding("mouse", ("M",), (B, D, A), "Mouse on or off: a click selects, a second one opens"),
    Binding("redraw", ("ctrl-l",), (B, D, A), "Draw the screen again"),
    Binding("suspend", ("ctrl-z",), (B, D, A), "Suspend; fg comes back"),
    Binding("back", ("esc",), (B,), "Clear the filter"),
    Binding("close", ("esc", "enter"), (D,), "Back to the board", "back"),
    Binding("dashboard-close", ("esc", "d"), (A,), "Back to the board", "back", _no_way_back),
    Binding("quit", ("q",), (B, D, A), "Quit", "quit"),
    Binding("menu-down", ("j", "down", "tab", "wheel-down"), (M,), "Next entry"),
    Binding("menu-up", ("k", "up", "backtab", "wheel-up"), (M,), "Previous entry"),
    Binding("menu-first", ("g", "home"), (M,), "First entry"),
    Binding("menu-last", ("G", "end"), (M,), "Last entry"),
    Binding("mark", (" ",), (M,), "Mark it, where several can be chosen", "mark", _not_multiple),
    Binding(
        "choose", ("enter", "l", "right"), (M,), "Take it; a digit takes that entry", "take it"
    ),
    Binding("cancel", ("esc", "q", "h", "left"), (M,), "Leave the menu", "cancel"),
    Binding("submit", ("enter",), (P,), "Done", "done"),
    Binding("abandon", ("esc",), (P,), "Cancel", "cancel"),
    Binding("cursor-left", ("left", "ctrl-b"), (P,), "Back one character"),
    Binding("cursor-right", ("right", "ctrl-f"), (P,), "Forward one character"),
    Binding("cursor-home", ("home", "ctrl-a"), (P,), "To the beginning"),
    Binding("cursor-end", ("end", "ctrl-e"), (P,), "To the end"),
    Binding("erase", ("backspace",), (P,), "Delete the character before the cursor"),
    Binding("erase-next", ("delete", "ctrl-d"), (P,), "Delete the character under the cursor"),
    Binding("erase-word", ("ctrl-w",), (P,), "Delete the word before the cursor"),
    Binding("erase-before", ("ctrl-u",), (P,), "Delete all before the cursor"),
    Binding("erase-after", ("ctrl-k",), (P,), "Delete all after the cursor"),
    Binding("help-down", ("j", "down", "wheel-down"), (H,), "Scroll down"),
    Binding("help-up", ("k", "up", "wheel-up"), (H,), "Scroll up"),
    Binding("help-page-down", ("pgdn", "ctrl-d", " "), (H,), "A page down"),
    Binding("help-page-up", ("pgup", "ctrl-u"), (H,), "A page up"),
    Binding("close-help", ("esc", "?", "q", "enter"), (H,), "Leave the help", "back"),
)

_LOOKUP = {
    (scope, key): binding for binding in TABLE for scope in binding.scopes for key in binding.keys
}


def find(scope: str, key: str) -> Binding | None:
    """The binding of a key in a scope; None for a key that does nothing there."""
    return _LOOKUP.get((scope, key))


def title(key: str) -> str:
    """A key as people write it."""
    return KEY_TITLES.get(key, key)


def titles(binding: Binding) -> str:
    return " ".join(title(key) for key in binding.keys)


def hints(model: Model) -> tuple[tuple[str, str], ...]:
    """(key, word) of the keys that the last row names: those that do something now."""
    named = (b for b in TABLE if model.scope in b.scopes and b.hint)
    return tuple((title(b.keys[0]), b.hint) for b in named if not b.refusal(model))


def help_lines() -> tuple[tuple[str, str], ...]:
    """(keys, what they do) under a heading for each scope; a heading has no keys."""
    lines: list[tuple[str, str]] = []
    for scope, heading in SCOPES.items():
        lines += [("", heading)] + [(titles(b), b.help) for b in TABLE if scope in b.scopes]
    return tuple(lines)
