"""Starting, stopping and retrying attempts, and talking to the agents that run them.

What is asked for is shown at once, as an intent, and taken back visibly when the server refuses.
"""

from dataclasses import replace

from cortex_cli.board import doing, prompts
from cortex_cli.board.apply import put_attempt, put_permission, put_review
from cortex_cli.board.asks import (
    Abort,
    AgentsFailed,
    AgentsLoaded,
    Asked,
    AskRefused,
    Choice,
    LoadAgents,
    RetryAttempt,
    Say,
    StartAttempt,
    StopAttempt,
)
from cortex_cli.board.model import Menu, Model, Prompt
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.panes import Needs
from cortex_cli.board.wire import Board, Review
from cortex_cli.board.work import CLAIMED, RETRIED, Attempt, Permission

LEAVE = ""  # the entry of a menu that changes nothing
NO_AGENT = "No runner has offered an agent yet: start `cortex runner` where agents are installed."


# --- start


def start(model: Model) -> Step:
    """Ask who can work; the answer starts the only one there is, or fills the menu."""
    ticket = model.ticket
    if ticket is None:
        return model, ()
    menu = Menu("start", f"Start on {ticket.key}", (), target=ticket.key)
    return replace(model, overlay=menu), (LoadAgents(model.project_of(ticket), ticket.key),)


def loaded(model: Model, answer: AgentsLoaded) -> Step:
    menu = model.overlay
    if not isinstance(menu, Menu) or menu.kind != "start" or menu.target != answer.ticket:
        return model, ()
    if not answer.choices:
        return toast(replace(model, overlay=None), NO_AGENT, bad=True), ()
    at_work = _names(model, answer.ticket)
    if len(answer.choices) == 1 and not at_work:
        return _start(replace(model, overlay=None), answer.ticket, answer.choices[0])
    about = f"At work on it already: {', '.join(at_work)}" if at_work else ""
    items = tuple((str(at), _title(choice)) for at, choice in enumerate(answer.choices))
    menu = replace(menu, items=items, about=about)
    return replace(model, overlay=menu, agents=answer.choices), ()


def failed(model: Model, answer: AgentsFailed) -> Model:
    menu = model.overlay
    if isinstance(menu, Menu) and menu.kind == "start" and menu.target == answer.ticket:
        model = replace(model, overlay=None)
    return toast(model, f"Nothing was started: {answer.why}", bad=True)


def chosen(model: Model, menu: Menu, value: str) -> Step:
    """An entry of the menu of those who can work."""
    if model.agents is None:
        return model, ()
    return _start(model, menu.target, model.agents[int(value)])


def _start(model: Model, key: str, choice: Choice) -> Step:
    who = choice.profile or choice.agent
    waits = "" if choice.online else "; it waits for a runner that has it"
    model = toast(with_intent(model, key, "queued"), f"Starting {who} on {key}{waits}")
    return model, (StartAttempt(key, choice.agent, choice.profile),)


def _names(model: Model, key: str) -> list[str]:
    found = model.board.attempts_of.get(key, ()) if model.board else ()
    return [attempt.agent for attempt in found if attempt.active]


def _title(choice: Choice) -> str:
    text = f"{choice.profile}  {choice.agent}" if choice.profile else choice.agent
    return text if choice.online else f"{text}  no runner has it now"


# --- stop and retry


def stop(model: Model) -> Step:
    """End an attempt: at once in the queue, else after a question, for its work ends with it."""
    ticket = model.ticket
    found = doing.active_of(model, ticket) if ticket else ()
    if not found or ticket is None:
        return model, ()
    if len(found) == 1 and found[0].status == "queued":
        return _stop(model, found[0])
    items = tuple((attempt.id, f"Stop {_described(model, attempt)}") for attempt in found)
    menu = Menu("stop", f"Stop on {ticket.key}?", (*items, (LEAVE, "Leave it")), target=ticket.key)
    return replace(model, overlay=menu), ()


def stop_chosen(model: Model, _: Menu, value: str) -> Step:
    attempt = model.board.attempts.get(value) if model.board else None
    if value == LEAVE:
        return model, ()
    if attempt is None or not attempt.active:
        return toast(model, "It has ended meanwhile."), ()
    return _stop(model, attempt)


def _stop(model: Model, attempt: Attempt) -> Step:
    then = "stopping" if attempt.status in CLAIMED else "cancelled"
    return with_intent(model, attempt.id, then), (StopAttempt(attempt.id),)


def _described(model: Model, attempt: Attempt) -> str:
    return f"{attempt.agent} ({doing.attempt_state(model, attempt).text[2:]})"


def retry(model: Model) -> Step:
    """Put the same once more into the queue."""
    ticket = model.ticket
    attempt = doing.newest(model, ticket) if ticket else None
    if ticket is None or attempt is None or attempt.status not in RETRIED:
        return model, ()
    model = toast(with_intent(model, ticket.key, "queued"), f"Trying {attempt.name} again")
    return model, (RetryAttempt(attempt.id, ticket.key),)


# --- talk


def say(model: Model) -> Step:
    session = doing.session_of(model)
    if session is None:
        return model, ()
    label = f"To {session.agent or 'the agent'} in {session.title}"
    return prompts.open_line(model, "say", label, session.id), ()


def said(model: Model, prompt: Prompt, text: str) -> Step:
    return model, (Say(prompt.target, text),)


def abort(model: Model) -> Step:
    """End the turn of an agent; its attempt goes on."""
    session = doing.session_of(model)
    if session is None:
        return model, ()
    return toast(model, f"Asking {session.agent or 'the agent'} to stop what it does"), (
        Abort(session.id),
    )


# --- what came of it


def done(model: Model, answer: Asked) -> Model:
    """The server agreed; what it answered is shown even before its event comes."""
    result, board = answer.result, model.board
    if board is not None and result is not None and _holds(board, result.ticket):
        match result:
            case Attempt():
                board = put_attempt(board, result)
            case Permission():
                board = put_permission(board, result)
            case Review():
                board = put_review(board, result)
        model = replace(model, board=board)
    if isinstance(model.pane, Needs):
        from cortex_cli.board import needs_actions

        model = needs_actions.done(model, answer)
    model = _without_intent(model, answer.target)
    return toast(model, answer.said) if answer.said else model


def _holds(board: Board, key: str) -> bool:
    """Whether a ticket is on it: what was asked for may have been on another board."""
    return any(ticket.key == key for ticket in board.tickets.values())


def refused(model: Model, answer: AskRefused) -> Model:
    """It did not: what was shown goes back, and what was typed is kept for the next time."""
    model = _without_intent(model, answer.target)
    again = ""
    if answer.draft:
        name, text = answer.draft
        model = prompts.drafted(model, name, text)
        again = " Your text is kept."
    return toast(model, f"{answer.why}{again}", bad=True)


def with_intent(model: Model, target: str, then: str) -> Model:
    return replace(model, intents={**model.intents, target: then})


def _without_intent(model: Model, target: str) -> Model:
    if target not in model.intents:
        return model
    left = {name: then for name, then in model.intents.items() if name != target}
    return replace(model, intents=left)
