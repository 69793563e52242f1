"""Why an action of the key table is not available now; "" where it is."""

from collections.abc import Callable
from importlib import import_module

from cortex_cli.board import doing, layout
from cortex_cli.board.model import DIFF, LOG, MANY_LINES, Menu, Model, Prompt
from cortex_cli.board.panes import Needs
from cortex_cli.board.status import not_yet
from cortex_cli.board.work import RETRIED


def _key(model: Model, action: str) -> str:
    from cortex_cli.board import keymap  # which imports the table, and that this module

    return keymap.key_of(model, action)


def no_board(model: Model) -> str:
    return "" if model.board else model.gone or "There is no board yet: it is still connecting."


def no_ticket(model: Model) -> str:
    refusal = no_board(model)
    if refusal or model.ticket:
        return refusal
    made = any(echo.ticket and echo.ticket.id == model.selected for echo in model.echoes)
    return "It is still being saved." if made else "No ticket is selected."


def no_new(model: Model) -> str:
    return no_board(model) or not_yet(model)


def no_change(model: Model) -> str:
    return no_ticket(model) or not_yet(model)


def no_target(model: Model) -> str:
    return not_yet(model) or ("" if _all_marked(model) else no_ticket(model))


def _all_marked(model: Model) -> bool:
    """Whether verbs act on the marked cards."""
    return bool(model.marked) and model.board is not None and not model.detail


def no_move(model: Model) -> str:
    if refusal := not_yet(model):
        return refusal
    if _all_marked(model):
        return ""
    refusal = no_ticket(model)
    if not refusal and model.board and model.ticket and model.ticket.id not in model.board.tickets:
        return f"{model.ticket.key} is archived: restore it first."
    return refusal


def no_left(model: Model) -> str:
    if _all_marked(model):
        return _none_beside(model, -1, "first")
    return no_move(model) or ("" if layout.focus_index(model) > 0 else "This is the first column.")


def no_right(model: Model) -> str:
    if _all_marked(model):
        return _none_beside(model, 1, "last")
    last = len(model.columns) - 1
    return no_move(model) or (
        "" if layout.focus_index(model) < last else "This is the last column."
    )


def _none_beside(model: Model, by: int, which: str) -> str:
    from cortex_cli.board import moves, verbs

    if any(moves.beside(model, ticket, by) for ticket in verbs.targets(model)):
        return ""
    return f"All marked cards are in the {which} column."


def no_up(model: Model) -> str:
    refusal = no_ticket(model) or _sorted(model) or no_move(model)
    return refusal or ("" if layout.selected_index(model) else "This is the first card.")


def no_down(model: Model) -> str:
    shown = model.shown
    last = len(shown.tickets) - 1 if shown else 0
    refusal = no_ticket(model) or _sorted(model) or no_move(model)
    return refusal or ("" if layout.selected_index(model) != last else "This is the last card.")


def _sorted(model: Model) -> str:
    """A place among cards means something only where the places are what is shown."""
    if model.sort == "rank":
        return ""
    from cortex_cli.board.sorting import SORTS

    word = SORTS[model.sort].word
    return f"Sorted {word}: o and 1 go back to the places that can be changed."


def no_undo(model: Model) -> str:
    return _saving(model) or ("" if model.undo else "There is nothing to undo.")


def no_redo(model: Model) -> str:
    return _saving(model) or ("" if model.redo else "There is nothing to redo.")


def _saving(model: Model) -> str:
    made = any(echo.ticket and not echo.until for echo in model.echoes)
    saving = model.pending or model.works or made
    return "The last change is still being saved." if saving else ""


def no_lines(model: Model) -> str:
    prompt = model.overlay
    kinds = ("title", *MANY_LINES)
    return "" if isinstance(prompt, Prompt) and prompt.kind in kinds else "It is one line."


def no_tabs(model: Model) -> str:
    detail = model.detail
    return "" if detail and (detail.sessions or detail.attempts) else "No agent worked on it yet."


def no_start(model: Model) -> str:
    refusal = no_move(model)
    if not refusal and model.ticket and model.ticket.key in model.intents:
        return f"An attempt on {model.ticket.key} is being started."
    return refusal


def no_stop(model: Model) -> str:
    if refusal := not_yet(model):
        return refusal
    refusal = no_ticket(model)
    if refusal or model.ticket is None or doing.active_of(model, model.ticket):
        return refusal
    newest = doing.newest(model, model.ticket)
    if newest is not None and newest.active:
        return f"{newest.name} is being stopped already."
    return f"No agent that the board runs works on {model.ticket.key}."


def no_retry(model: Model) -> str:
    refusal = no_start(model)
    if refusal or model.ticket is None:
        return refusal
    newest = doing.newest(model, model.ticket)
    if newest is None:
        return f"There was no attempt on {model.ticket.key}: {_key(model, 'start')} starts one."
    does = "succeeded" if newest.status == "succeeded" else f"is {newest.status}"
    return "" if newest.status in RETRIED else f"{newest.name} {does}: nothing to try again."


def no_answer(model: Model) -> str:
    if refusal := not_yet(model):
        return refusal
    refusal = no_ticket(model)
    if refusal or model.ticket is None:
        return refusal
    waits = doing.open_questions(model, model.ticket) or doing.open_reviews(model, model.ticket)
    return "" if waits else f"Nothing on {model.ticket.key} waits for an answer."


def no_session(model: Model) -> str:
    if refusal := not_yet(model):
        return refusal
    session = doing.session_of(model)
    if session is None:
        return f"No agent is at work here: {_key(model, 'start')} starts one."
    if session.status == "ended":
        return f"The session {session.title} has ended: nobody would hear it."
    return "" if session.attempt else f"{session.title} was started by hand: no runner holds it."


def not_multiple(model: Model) -> str:
    menu = model.overlay
    return "" if isinstance(menu, Menu) and menu.multiple else "Only one can be chosen: Enter."


def no_way_back(model: Model) -> str:
    if model.project or model.everything:
        return ""
    return f"No project is open: {_key(model, 'dashboard-open')} opens the selected one."


def no_overview(model: Model) -> str:
    from cortex_cli.board import dashboard_lines  # the board can do without

    body = model.dashboard.body if model.dashboard else None
    return "" if body and dashboard_lines.entries(body) else "There is nothing to open yet."


def no_search(model: Model) -> str:
    searched = model.detail is not None and model.detail.search is not None
    return "" if searched else "Nothing is searched for: / does."


def no_parts(model: Model) -> str:
    detail = model.detail
    parts = detail is not None and (detail.tab == DIFF or detail.tab in detail.sessions)
    return "" if parts else "Only a diff has files, and a session messages."


def no_older_attempt(model: Model) -> str:
    return _no_attempt(model, 0, "This is the first attempt.")


def no_newer_attempt(model: Model) -> str:
    return _no_attempt(model, -1, "This is the newest attempt.")


def _no_attempt(model: Model, edge: int, why: str) -> str:
    detail = model.detail
    if detail is None or detail.tab not in (LOG, DIFF):
        return "Log and diff are of one attempt: choose it there."
    found = sorted(detail.attempts.values(), key=lambda attempt: attempt.number)
    shown = doing.shown_attempt(model, detail)
    return why if not found or shown is None or shown.id == found[edge].id else ""


def not_paused(model: Model) -> str:
    paused = model.detail is not None and model.detail.tab in model.detail.paused
    return "" if paused else "It already follows its tail."


def pane(name: str) -> Callable[[Model], str]:
    """A reason of the screen that is open, whose module is imported with it."""

    def refusal(model: Model) -> str:
        module = "needs_actions" if isinstance(model.pane, Needs) else "events_pane"
        reason: Callable[[Model], str] = getattr(import_module(f"cortex_cli.board.{module}"), name)
        return reason(model)

    return refusal
