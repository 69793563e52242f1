"""Lines of input, and lists to choose from: what opens over the board, and what becomes of it."""

from dataclasses import replace

from cortex_cli.board import layout, moves
from cortex_cli.board.messages import (
    AddComment,
    Create,
    Effect,
    LoadProjects,
    ProjectsLoaded,
    Refused,
)
from cortex_cli.board.model import Menu, Model, Prompt
from cortex_cli.board.moves import Step

MAX_INPUT = 10_000


# --- opening


def new_ticket(model: Model) -> Step:
    shown = model.shown
    title = shown.column.title if shown else ""
    return open_line(model, "title", f"New ticket in {title}", model.focus), ()


def comment(model: Model) -> Step:
    ticket = model.ticket
    return (
        (open_line(model, "comment", f"Comment on {ticket.key}", ticket.key), ())
        if ticket
        else (model, ())
    )


def filter_cards(model: Model) -> Step:
    text = model.filter
    prompt = Prompt("filter", "Filter", text, len(text), before=text)
    return replace(model, overlay=prompt), ()


def open_line(model: Model, kind: str, label: str, target: str, about: str = "") -> Model:
    """Ask for a line; it begins with what was typed for the same the last time."""
    draft = model.drafts.get(draft_name(kind, target), "")
    prompt = Prompt(kind, label, draft, len(draft), target, about=about)
    return replace(model, overlay=prompt)


def draft_name(kind: str, target: str) -> str:
    """Of a text that was left: what is said to one agent is not meant for another."""
    return kind if kind in ("title", "comment") else f"{kind} {target}"


def move_menu(model: Model) -> Step:
    if model.ticket is None:
        return model, ()
    items = tuple((shown.column.name, shown.column.title) for shown in model.columns)
    at = next(
        (i for i, (name, _) in enumerate(items) if name == model.ticket.status),
        layout.focus_index(model),
    )
    menu = Menu("move", f"Move {model.ticket.key} to", items, at, target=model.ticket.id)
    return replace(model, overlay=menu), ()


def project_menu(model: Model) -> Step:
    menu = Menu(
        "project", "Projects", tuple((key, f"{key}  {name}") for key, name in model.projects)
    )
    at = next((i for i, (key, _) in enumerate(menu.items) if key == model.project), 0)
    return replace(model, overlay=replace(menu, index=at)), (LoadProjects(),)


def projects_loaded(model: Model, answer: ProjectsLoaded) -> Step:
    """Fill the menu of projects that is open, keeping the entry that was selected."""
    model = replace(model, projects=answer.projects)
    menu = model.overlay
    if not isinstance(menu, Menu) or menu.kind != "project":
        return model, ()
    wanted = menu.items[menu.index][0] if menu.items else model.project
    model, _ = project_menu(model)
    assert isinstance(model.overlay, Menu)
    at = next((i for i, (key, _) in enumerate(model.overlay.items) if key == wanted), 0)
    return replace(model, overlay=replace(model.overlay, index=at)), ()


def projects_failed(model: Model, why: str) -> Model:
    """Say it where the choice would be: there is nothing to choose from."""
    menu = model.overlay
    if isinstance(menu, Menu) and menu.kind == "project" and not menu.items:
        model = replace(model, overlay=None)
    if model.project or model.dashboard:
        return moves.toast(model, why, bad=True)
    return replace(model, gone=why)


# --- the line


def typed(model: Model, text: str) -> Model:
    """Put text in at the cursor."""
    prompt = model.overlay
    if not isinstance(prompt, Prompt) or len(prompt.text) + len(text) > MAX_INPUT:
        return model
    line = prompt.text[: prompt.cursor] + text + prompt.text[prompt.cursor :]
    return edited(model, prompt, line, prompt.cursor + len(text))


def edited(model: Model, prompt: Prompt, text: str, cursor: int) -> Model:
    """The line changed; a filter is in effect while it is typed."""
    model = replace(
        model, overlay=replace(prompt, text=text, cursor=min(max(0, cursor), len(text)))
    )
    return replace(model, filter=text) if prompt.kind == "filter" else model


def edit(model: Model, action: str) -> Step:
    """One editing key."""
    prompt = model.overlay
    if not isinstance(prompt, Prompt):
        return model, ()
    text, at = prompt.text, prompt.cursor
    match action:
        case "cursor-left":
            at -= 1
        case "cursor-right":
            at += 1
        case "cursor-home":
            at = 0
        case "cursor-end":
            at = len(text)
        case "erase":
            text, at = text[: max(0, at - 1)] + text[at:], at - 1
        case "erase-next":
            text = text[:at] + text[at + 1 :]
        case "erase-word":
            head = text[:at].rstrip()
            kept = head[: head.rfind(" ") + 1]
            text, at = kept + text[at:], len(kept)
        case "erase-before":
            text, at = text[at:], 0
        case "erase-after":
            text = text[:at]
    return edited(model, prompt, text, at), ()


def submit(model: Model) -> Step:
    prompt = model.overlay
    if not isinstance(prompt, Prompt):
        return model, ()
    model = replace(model, overlay=None)
    text = prompt.text.strip()
    if prompt.kind == "filter":
        return replace(model, filter=text), ()
    model = undrafted(model, prompt)
    if not text:
        return model, ()
    effect: Effect = AddComment(prompt.target, text)
    if prompt.kind == "title":
        effect = Create(model.project, text, prompt.target)
    return model, (effect,)


def abandon(model: Model) -> Step:
    """Leave the input. The text stays for the next time; a filter goes back to what it was."""
    prompt = model.overlay
    model = replace(model, overlay=None)
    if isinstance(prompt, Prompt) and prompt.kind == "filter":
        return replace(model, filter=prompt.before), ()
    if isinstance(prompt, Prompt):
        name = draft_name(prompt.kind, prompt.target)
        return replace(model, drafts={**model.drafts, name: prompt.text}), ()
    return model, ()


def refused(model: Model, answer: Refused) -> Step:
    """What was typed is not lost: the prompt opens with it the next time."""
    key, what = {
        "title": ("n", "The ticket was not created"),
        "comment": ("c", "The comment was not added"),
    }[answer.prompt]
    model = replace(model, drafts={**model.drafts, answer.prompt: answer.draft})
    return moves.toast(model, f"{what}: {answer.why} {key} brings your text back.", bad=True), ()


def undrafted(model: Model, prompt: Prompt) -> Model:
    gone = draft_name(prompt.kind, prompt.target)
    return replace(model, drafts={k: text for k, text in model.drafts.items() if k != gone})


# --- the menu


def step_menu(model: Model, to: int) -> Model:
    """Select an entry; out of range is the first or the last."""
    menu = model.overlay
    if not isinstance(menu, Menu) or not menu.items:
        return model
    return replace(model, overlay=replace(menu, index=min(max(0, to), len(menu.items) - 1)))
