"""What the keys do in the list of what needs a person, and why one does not."""

from dataclasses import replace

from cortex_cli.board import agents, answers, doing, keymap, needs, prompts, screens
from cortex_cli.board.asks import Asked, AskedLoaded, LoadAsked, RetryAttempt
from cortex_cli.board.messages import Copy
from cortex_cli.board.model import Menu, Model
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.needs import Need
from cortex_cli.board.panes import Needs
from cortex_cli.board.work import Permission

AGAIN, OPEN = "again", "open"


def open_it(model: Model) -> Step:
    """`A`: the list, over what is shown."""
    model, effects = screens.show(model, Needs())
    assert isinstance(model.pane, Needs)
    return needs.select(model, model.pane, 0), effects


# --- the cursor


def page(model: Model, pages: int) -> Step:
    return step(model, pages * max(1, model.height // 2))


def step(model: Model, by: int) -> Step:
    pane = model.pane
    return (needs.select(model, pane, pane.at + by) if isinstance(pane, Needs) else model), ()


# --- verbs


def open(model: Model) -> Step:
    """Open the ticket; of another project, its board first."""
    need = needs.selected(model)
    if need is None:
        return model, ()
    if need.project:
        return screens.open_elsewhere(model, need.project, need.ticket)
    return screens.open_ticket(model, model.ticket) if model.ticket else (model, ())


def answer(model: Model) -> Step:
    """`a`: answer this entry: its options, a line for words, or what to do about a failure."""
    need = needs.selected(model)
    if need is None:
        return model, ()
    if need.went_wrong:
        items = ((AGAIN, "Try again"), (OPEN, "Open the ticket"))
        about = f"{need.title}\n{need.asked}"
        title = f"{need.agent or 'An attempt'} {need.kind} on {need.ticket}"
        return replace(model, overlay=Menu("failed", title, items, target=need.id, about=about)), ()
    if need.kind == needs.TURN:
        return say(model)
    known = answers.known(model, need.id)
    if known is not None:
        return answers.ask(model, known), ()
    return model, (LoadAsked(need.id, need.kind == needs.REVIEW),)


def asked_loaded(model: Model, answer: AskedLoaded) -> Step:
    """What a question of another project says: asked now, if its entry is still the one."""
    pane, thing = model.pane, answer.thing
    if not isinstance(pane, Needs) or pane.behind or model.overlay is not None:
        return model, ()
    if not thing.open:
        return toast(model, "It was answered meanwhile, or is no longer asked."), ()
    need = needs.selected(model)
    if isinstance(thing, Permission) and need and need.agent:
        thing = thing.but(asked_by=need.agent)  # the one that told the server is often its runner
    model = replace(model, pane=pane.but(known={**pane.known, thing.id: thing}))
    return (answers.ask(model, thing), ()) if need and need.id == thing.id else (model, ())


def failure_chosen(model: Model, menu: Menu, value: str) -> Step:
    need = needs.selected(model)
    if need is None or need.id != menu.target:  # the cursor went on when it left the list
        return toast(model, "It was tried again meanwhile, or has left the board."), ()
    return again(model) if value == AGAIN else open(model)


def again(model: Model) -> Step:
    """`R`: put the same once more into the queue."""
    need = needs.selected(model)
    if need is None or not need.went_wrong:
        return model, ()
    model = agents.with_intent(model, need.ticket, "queued")
    model = toast(model, f"Trying again on {need.ticket}")
    return model, (RetryAttempt(need.id, need.ticket),)


def say(model: Model) -> Step:
    """`i`: a line for what its agent is told."""
    need = needs.selected(model)
    if need is None or not need.session:
        return model, ()
    label = f"To {need.agent or 'the agent'} on {need.ticket}"
    return prompts.open_line(model, "say", label, need.session), ()


def copy(model: Model) -> Step:
    need = needs.selected(model)
    if need is None:
        return model, ()
    return model, (Copy(need.ticket),)


def hide(model: Model) -> Step:
    """`u`: put a failure aside. It stays what it is, and its card says so."""
    need = needs.selected(model)
    if need is None:
        return model, ()
    model = replace(model, hidden=model.hidden | {need.id})
    key = keymap.key_of(model, "needs-show-hidden")
    text = f"{need.ticket} is put aside here until it is tried again; {key} shows it"
    return toast(model, text), ()


def show_hidden(model: Model) -> Step:
    return toast(replace(model, hidden=frozenset()), "What was put aside is shown again"), ()


def done(model: Model, answer: Asked) -> Model:
    """What was answered in another project leaves the list before the next overview says so."""
    pane = model.pane
    if not isinstance(pane, Needs) or model.dashboard is None or not answer.target:
        return model
    return replace(model, pane=pane.but(done=pane.done | {answer.target}))


# --- why not


def no_entry(model: Model) -> str:
    return "" if needs.selected(model) else "Nothing waits for you."


def no_open(model: Model) -> str:
    need = needs.selected(model)
    if need is None or need.project or need.ticket_id:
        return no_entry(model)
    return f"{need.ticket} is archived: it is not on the board."


def no_again(model: Model) -> str:
    need = needs.selected(model)
    if need is None or need.went_wrong:
        return no_entry(model)
    return f"{need.ticket} did not fail: {_instead(need)}"


def no_say(model: Model) -> str:
    need = needs.selected(model)
    if need is None or need.session:
        return no_entry(model)
    if need.kind == needs.TURN:
        return f"{need.agent} was started by hand: answer it where it runs."
    return f"Nobody would hear it: {_instead(need)}"


def no_answer(model: Model) -> str:
    need = needs.selected(model)
    return no_say(model) if need and need.kind == needs.TURN else no_entry(model)


def no_stop(model: Model) -> str:
    need = needs.selected(model)
    if need is None:
        return no_entry(model)
    if model.ticket is None:
        return f"Open {need.ticket} first: Enter, then x."
    if doing.active_of(model, model.ticket):
        return ""
    return f"No agent that the board runs works on {need.ticket}."


def no_hide(model: Model) -> str:
    need = needs.selected(model)
    if need is None or need.went_wrong:
        return no_entry(model)
    return f"Somebody waits for it: {_instead(need)}"


def no_hidden(model: Model) -> str:
    return "" if model.hidden else "Nothing was put aside."


def _instead(need: Need) -> str:
    return "a tries again or opens it." if need.went_wrong else "a answers."
