"""The keys, in one table: what they are called, do, and when they do not.

The help overlay, the palette, the hints in the last row, docs/keys.md, the man page and the
dispatch in update come from it; `keymap` is this table with the user's changes. Printable keys are
their own name; the others are named as KEY_TITLES lists them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cortex_cli.board import available
from cortex_cli.board.model import Model

KEY_TITLES = {
    "left": "←", "right": "→", "up": "↑", "down": "↓", "home": "Home", "end": "End",
    "pgup": "PgUp", "pgdn": "PgDn", "enter": "Enter", "esc": "Esc", "tab": "Tab",
    "backtab": "Shift-Tab", " ": "Space", "backspace": "Backspace", "delete": "Del",
    "insert": "Ins", "wheel-up": "wheel up", "wheel-down": "wheel down",
    **{f"ctrl-{letter}": f"^{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"},
    **{f"f{number}": f"F{number}" for number in range(1, 13)},
}  # fmt: skip

SCOPES = {
    "board": "Board",
    "detail": "Ticket",
    "dashboard": "Dashboard",
    "needs": "What needs me",
    "events": "Events",
    "menu": "Menus",
    "prompt": "Input",
    "palette": "Palette",
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


B, D, A, N, E = SCREENS = ("board", "detail", "dashboard", "needs", "events")
M, P, C, H = "menu", "prompt", "palette", "help"

# A row a line, in the order of hints, palette and help: a new one goes below its `# ---`.
# fmt: off
TABLE: tuple[Binding, ...] = (
    # --- moving on the board
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
    Binding("open", ("enter",), (B,), "Open the ticket", "open", available.no_ticket),
    Binding("move-left", ("H",), (B,), "Move the card to the column on the left", "",
            available.no_left),
    Binding("move-right", ("L",), (B,), "Move the card to the column on the right", "",
            available.no_right),
    Binding("move-down", ("J",), (B,), "Move the card down in its column", "", available.no_down),
    Binding("move-up", ("K",), (B,), "Move the card up in its column", "", available.no_up),
    # --- moving in a ticket
    Binding("scroll-down", ("j", "down", "wheel-down"), (D,), "Scroll down"),
    Binding("scroll-up", ("k", "up", "wheel-up"), (D,), "Scroll up"),
    Binding("scroll-first", ("g", "home"), (D,), "To the beginning"),
    Binding("scroll-last", ("G", "end"), (D,), "To the end, and follow it"),
    Binding("previous-tab", ("[", "h", "left", "backtab"), (D,), "Previous tab", "",
            available.no_tabs),
    Binding("next-tab", ("]", "l", "right", "tab"), (D,), "Next tab: log, diff, sessions", "tabs",
            available.no_tabs),
    Binding("follow", ("f",), (D,), "Follow the tail again", "", available.not_paused),
    Binding("search", ("/",), (D,), "Search in this tab", "search"),
    Binding("next-hit", ("n",), (D,), "Next hit, around the end", "", available.no_search),
    Binding("previous-hit", ("N",), (D,), "Previous hit", "", available.no_search),
    Binding("previous-part", ("{",), (D,), "Previous file of the diff, message", "",
            available.no_parts),
    Binding("next-part", ("}",), (D,), "Next file of the diff, message", "", available.no_parts),
    Binding("older-attempt", ("<",), (D,), "Log and diff of the attempt before", "",
            available.no_older_attempt),
    Binding("newer-attempt", (">",), (D,), "Log and diff of the attempt after", "",
            available.no_newer_attempt),
    # --- verbs, on the ticket that is selected or open
    Binding("move", ("m",), (B, D), "Move to a column, from a menu", "move to", available.no_move),
    Binding("new", ("n",), (B,), "New ticket in this column", "new", available.no_new),
    Binding("new-in-editor", ("N",), (B,), "New ticket, written in $EDITOR", "",
            available.no_new),
    Binding("edit", ("e",), (B, D), "Edit the ticket in $EDITOR", "edit", available.no_change),
    Binding("comment", ("c",), (B, D), "Comment on the ticket", "comment", available.no_change),
    Binding("mark-card", (" ",), (B,), "Mark the card and go down: verbs act on all marked", "",
            available.no_ticket),
    Binding("remove", ("D",), (B, D), "Archive or delete", "", available.no_target),
    # --- agents
    Binding("answer", ("a",), (B, D), "Answer: an agent's question, a review", "answer",
            available.no_answer),
    Binding("start", ("s",), (B, D), "Start an attempt: let an agent work", "start",
            available.no_start),
    Binding("stop", ("x",), (B, D), "Stop the attempt", "stop", available.no_stop),
    Binding("retry-attempt", ("R",), (B, D), "Try the failed attempt again", "try again",
            available.no_retry),
    Binding("say", ("i",), (D,), "Say something to the agent", "say", available.no_session),
    Binding("abort", ("X",), (D,), "End the agent's turn; its attempt goes on", "",
            available.no_session),
    # --- undo
    Binding("undo", ("z",), (B, D), "Undo the last change", "", available.no_undo),
    Binding("redo", ("Z",), (B, D), "Redo what was undone", "", available.no_redo),
    # --- what is shown
    Binding("filter", ("/",), (B,), "Filter the cards; ! before a word inverts it", "filter",
            available.no_board),
    Binding("sort", ("o",), (B,), "Sort the cards of each column", "", available.no_board),
    Binding("needs-me", ("F",), (B,), "Only what needs me: questions, reviews, failures",
            "needs me", available.no_board),
    # --- elsewhere
    Binding("copy", ("y",), (B, D), "Copy the ticket's key", "", available.no_ticket),
    Binding("retry", ("r",), (B, D, N, E), "Connect now, or fetch the board again"),
    Binding("projects", ("p",), (B, A), "Switch to another project"),
    Binding("everything", ("P",), (B,), "All projects in one board, or one again"),
    Binding("dashboard", ("d",), (B,), "All projects at a glance", "dashboard"),
    Binding("events", ("v",), (B, D), "The last events, as they came"),
    # --- on the dashboard
    Binding("dashboard-open", ("enter",), (A,), "Open the board, or the ticket on it", "open",
            available.no_overview),
    Binding("dashboard-down", ("j", "down", "wheel-down"), (A,), "Next entry"),
    Binding("dashboard-up", ("k", "up", "wheel-up"), (A,), "Previous entry"),
    Binding("dashboard-page-down", ("pgdn", "ctrl-d"), (A,), "A page down"),
    Binding("dashboard-page-up", ("pgup", "ctrl-u"), (A,), "A page up"),
    Binding("dashboard-first", ("g", "home"), (A,), "First entry"),
    Binding("dashboard-last", ("G", "end"), (A,), "Last entry"),
    Binding("dashboard-retry", ("r",), (A,), "Connect now, or anew"),
    # --- in the list of what needs me
    Binding("needs", ("A",), (B, D, A), "What needs me, a list that is answered in place", "inbox"),
    Binding("needs-open", ("enter",), (N,), "Open the ticket; Esc comes back", "open",
            available.pane("no_open")),
    Binding("needs-answer", ("a",), (N,), "Answer it here", "answer", available.pane("no_answer")),
    Binding("needs-again", ("R",), (N,), "Try the failed attempt again", "try again",
            available.pane("no_again")),
    Binding("needs-say", ("i",), (N,), "Say something to the agent", "say",
            available.pane("no_say")),
    Binding("needs-stop", ("x",), (N,), "Stop the attempt", "stop", available.pane("no_stop")),
    Binding("needs-hide", ("u",), (N,), "Put a failure aside here, until it is tried again",
            "put aside", available.pane("no_hide")),
    Binding("needs-show-hidden", ("U",), (N,), "Show again what was put aside", "",
            available.pane("no_hidden")),
    Binding("needs-copy", ("y",), (N,), "Copy the ticket's key", "", available.pane("no_entry")),
    Binding("needs-down", ("j", "down", "wheel-down"), (N,), "Next entry"),
    Binding("needs-up", ("k", "up", "wheel-up"), (N,), "Previous entry"),
    Binding("needs-page-down", ("pgdn", "ctrl-d"), (N,), "A page down"),
    Binding("needs-page-up", ("pgup", "ctrl-u"), (N,), "A page up"),
    Binding("needs-first", ("g", "home"), (N,), "First entry"),
    Binding("needs-last", ("G", "end"), (N,), "Last entry"),
    Binding("needs-close", ("esc", "A"), (N,), "Back to where you were", "back"),
    # --- in the events pane
    Binding("events-open", ("enter",), (E,), "Show all that it says, or no longer", "payload",
            available.pane("no_event")),
    Binding("events-ticket", ("o",), (E,), "Open its ticket; Esc comes back", "ticket",
            available.pane("no_ticket")),
    Binding("events-filter", ("/",), (E,), "Filter by type or text; ! before a word inverts it",
            "filter"),
    Binding("events-follow", ("f", "G", "end"), (E,), "To the newest, and follow", "follow",
            available.pane("no_follow")),
    Binding("events-down", ("j", "down", "wheel-down"), (E,), "Next event"),
    Binding("events-up", ("k", "up", "wheel-up"), (E,), "Previous event"),
    Binding("events-page-down", ("pgdn", "ctrl-d"), (E,), "A page down, in what is open below"),
    Binding("events-page-up", ("pgup", "ctrl-u"), (E,), "A page up, in what is open below"),
    Binding("events-first", ("g", "home"), (E,), "Oldest event that is held"),
    Binding("events-close", ("esc", "v"), (E,), "Back: the payload, the filter, the pane", "back"),
    # --- everywhere
    Binding("help", ("?",), SCREENS, "Help: every key", "help"),
    Binding("palette", (":", "ctrl-p"), SCREENS, "Find an action, a ticket, a column, a project"),
    Binding("mouse", ("M",), SCREENS, "Mouse on or off: a click selects, a second one opens"),
    Binding("bell", ("B",), SCREENS, "Bell and notifications on or off: an agent needs you"),
    Binding("redraw", ("ctrl-l",), SCREENS, "Draw the screen again"),
    Binding("suspend", ("ctrl-z",), SCREENS, "Suspend; fg comes back"),
    Binding("back", ("esc",), (B,), "Clear the marks, else the filter"),
    Binding("close", ("esc", "enter"), (D,), "Back to the board", "back"),
    Binding("dashboard-close", ("esc", "d"), (A,), "Back to the board", "back",
            available.no_way_back),
    Binding("quit", ("q",), SCREENS, "Quit", "quit"),
    # --- in menus
    Binding("menu-down", ("j", "down", "tab", "wheel-down"), (M,), "Next entry"),
    Binding("menu-up", ("k", "up", "backtab", "wheel-up"), (M,), "Previous entry"),
    Binding("menu-first", ("g", "home"), (M,), "First entry"),
    Binding("menu-last", ("G", "end"), (M,), "Last entry"),
    Binding("mark", (" ",), (M,), "Mark it, where several can be chosen", "mark",
            available.not_multiple),
    Binding("choose", ("enter", "l", "right"), (M,), "Take it; a digit takes that entry",
            "take it"),
    Binding("cancel", ("esc", "q", "h", "left"), (M,), "Leave the menu", "cancel"),
    # --- while typing
    Binding("submit", ("enter",), (P,), "Done", "done"),
    Binding("write", ("ctrl-o",), (P,), "Write it in $EDITOR, in many lines", "editor",
            available.no_lines),
    Binding("abandon", ("esc",), (P,), "Cancel", "cancel"),
    Binding("cursor-left", ("left", "ctrl-b"), (P, C), "Back one character"),
    Binding("cursor-right", ("right", "ctrl-f"), (P, C), "Forward one character"),
    Binding("cursor-home", ("home", "ctrl-a"), (P, C), "To the beginning"),
    Binding("cursor-end", ("end", "ctrl-e"), (P, C), "To the end"),
    Binding("erase", ("backspace",), (P, C), "Delete the character before the cursor"),
    Binding("erase-next", ("delete", "ctrl-d"), (P, C), "Delete the character under the cursor"),
    Binding("erase-word", ("ctrl-w",), (P, C), "Delete the word before the cursor"),
    Binding("erase-before", ("ctrl-u",), (P, C), "Delete all before the cursor"),
    Binding("erase-after", ("ctrl-k",), (P, C), "Delete all after the cursor"),
    # --- in the palette
    Binding("palette-run", ("enter",), (C,), "Do it, or go there", "do it"),
    Binding("palette-down", ("down", "ctrl-n", "tab", "wheel-down"), (C,), "Next entry"),
    Binding("palette-up", ("up", "ctrl-p", "backtab", "wheel-up"), (C,), "Previous entry"),
    Binding("palette-page-down", ("pgdn",), (C,), "A page down"),
    Binding("palette-page-up", ("pgup",), (C,), "A page up"),
    Binding("palette-close", ("esc",), (C,), "Leave the palette", "cancel"),
    # --- in the help
    Binding("help-down", ("j", "down", "wheel-down"), (H,), "Scroll down"),
    Binding("help-up", ("k", "up", "wheel-up"), (H,), "Scroll up"),
    Binding("help-page-down", ("pgdn", "ctrl-d", " "), (H,), "A page down"),
    Binding("help-page-up", ("pgup", "ctrl-u"), (H,), "A page up"),
    Binding("help-first", ("g", "home"), (H,), "To the beginning"),
    Binding("help-last", ("G", "end"), (H,), "To the end"),
    Binding("help-search", ("/", ":", "ctrl-p"), (H,), "Find a key: the palette", "find"),
    Binding("close-help", ("esc", "?", "q", "enter"), (H,), "Leave the help", "back"),
)
# fmt: on


def title(key: str) -> str:
    """A key as people write it."""
    if key in KEY_TITLES or len(key) == 1:
        return KEY_TITLES.get(key, key)
    held, _, rest = key.partition("-")
    return f"{held.capitalize()}-{title(rest)}" if held in ("shift", "alt", "ctrl") else key
