"""Answering what waits for a person: an agent's questions, and reviews."""

from dataclasses import replace

from cortex_cli.board import doing, prompts
from cortex_cli.board.agents import with_intent
from cortex_cli.board.asks import Answer, ResolveReview
from cortex_cli.board.messages import Effect
from cortex_cli.board.model import WORDS, Menu, Model, Prompt
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.panes import Needs
from cortex_cli.board.wire import Review, Ticket
from cortex_cli.board.work import Permission

REVIEW = (
    ("approved", "Approve"),
    ("changes_requested", "Ask for changes …"),
    ("dismissed", "Dismiss"),
)


def waiting(model: Model, ticket: Ticket) -> list[Permission | Review]:
    """What can be answered on a ticket, the oldest first."""
    found: list[Permission | Review] = [*doing.open_questions(model, ticket)]
    found += doing.open_reviews(model, ticket)
    return sorted(found, key=lambda one: (one.created_at, one.id))


def answer(model: Model) -> Step:
    """Open what waits longest: its options as a menu, or a line for words."""
    found = waiting(model, model.ticket) if model.ticket else []
    return (ask(model, found[0]) if found else model), ()


def ask(model: Model, one: Permission | Review) -> Model:
    """Open one: its options as a menu, or a line for words."""
    if isinstance(one, Review):
        about = f"{one.requested_by} asks for a review. {one.summary}".strip()
        menu = Menu("review", f"Review of {one.ticket}", REVIEW, target=one.id, about=about)
        return replace(model, overlay=menu)
    if not one.options:
        return _words(model, one)
    items = tuple((option.id, _label(option.label, option.description)) for option in one.options)
    if one.free_text:
        items += ((WORDS, "In your own words …"),)
    by = f"{doing.who_asks(model, one)} asks on {one.ticket}"
    menu = Menu("answer", by, items, target=one.id, about=one.about, multiple=one.multiple)
    return replace(model, overlay=menu)


def known(model: Model, id: str) -> Permission | Review | None:
    """A question or review by its id: of the board, or fetched of another project."""
    if model.board is not None:
        found = model.board.permissions.get(id) or model.board.reviews.get(id)
        if found is not None:
            return found
    return model.pane.known.get(id) if isinstance(model.pane, Needs) else None


def _label(label: str, description: str) -> str:
    return f"{label}: {description}" if description else label


def _words(model: Model, asked: Permission) -> Model:
    label = f"Answer {doing.who_asks(model, asked)} on {asked.ticket}"
    return prompts.open_line(model, "answer", label, asked.id, asked.about)


def mark(model: Model) -> Step:
    """Mark the entry, or no longer; Enter then takes all that are marked."""
    menu = model.overlay
    if not isinstance(menu, Menu) or not menu.items or menu.items[menu.index][0] == WORDS:
        return model, ()
    marked = menu.marked ^ {menu.items[menu.index][0]}
    return replace(model, overlay=replace(menu, marked=marked)), ()


def chosen(model: Model, menu: Menu, value: str) -> Step:
    """An option of a question."""
    asked = known(model, menu.target)
    if not isinstance(asked, Permission):
        return toast(model, "It was answered meanwhile, or is no longer asked."), ()
    if value == WORDS:
        return _words(model, asked), ()
    order = [option.id for option in asked.options]
    wanted = menu.marked or {value}
    if not wanted <= set(order):
        return toast(model, "It asks something else now: look again.", bad=True), ()
    choices = sorted(wanted, key=order.index)
    labels = {option.id: option.label for option in asked.options}
    said = ", ".join(labels[choice] for choice in choices)
    return _answered(model, asked.id, said, Answer(asked.id, tuple(choices), ""))


def answered_in_words(model: Model, prompt: Prompt, text: str) -> Step:
    return _answered(model, prompt.target, text, Answer(prompt.target, (), text))


def review_chosen(model: Model, menu: Menu, value: str) -> Step:
    """An answer to a review; changes come with a note."""
    if known(model, menu.target) is None:
        return toast(model, "The review was answered meanwhile."), ()
    if value == "changes_requested":
        label = "What is to change (may stay empty)"
        return prompts.open_line(model, "note", label, menu.target, menu.about), ()
    said = dict(REVIEW)[value]
    return _answered(model, menu.target, said, ResolveReview(menu.target, value, ""))


def noted(model: Model, prompt: Prompt, text: str) -> Step:
    effect = ResolveReview(prompt.target, "changes_requested", text)
    return _answered(model, prompt.target, "changes asked for", effect)


def _answered(model: Model, target: str, said: str, effect: Effect) -> Step:
    """Take it off what waits, and say what else does."""
    model = with_intent(model, target, "answered")
    if model.screen == "needs":
        return toast(model, f"Answered: {said}"), (effect,)  # the list shows what else waits
    left = len(waiting(model, model.ticket)) if model.ticket else 0
    more = f"; {left} more wait{'s' if left == 1 else ''}: a" if left else ""
    return toast(model, f"Answered: {said}{more}"), (effect,)
