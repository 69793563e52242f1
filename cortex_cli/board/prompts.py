"""Lines of input, and lists to choose from: what opens over the board, and what becomes of it."""

from dataclasses import replace

from cortex_cli.board import keymap, layout, moves
from cortex_cli.board.changes import Refused
from cortex_cli.board.messages import LoadProjects, ProjectsLoaded
from cortex_cli.board.model import Menu, Model, Prompt
from cortex_cli.board.moves import Step

MAX_INPUT = 10_000
MAX_DRAFTS = 100


# --- opening


def new_ticket(model: Model) -> Step:
    if model.everything:
        from cortex_cli.board import everything  # one board can do without

        return everything.new_ticket(model)
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
    if model.marked and not model.detail:
        return _move_all(model), ()
    if model.ticket is None:
        return model, ()
    shown = [shown.column for shown in model.columns]
    if model.everything and model.board:  # columns of other projects are no place for it
        shown = [*model.board.of(model.ticket.key).project.columns]
    items = tuple((column.name, column.title) for column in shown)
    at = next(
        (i for i, (name, _) in enumerate(items) if name == model.ticket.status),
        layout.focus_index(model),
    )
    menu = Menu("move", f"Move {model.ticket.key} to", items, at, target=model.ticket.id)
    return replace(model, overlay=menu), ()


def _move_all(model: Model) -> Model:
    items = tuple((shown.column.name, shown.column.title) for shown in model.columns)
    title = f"Move {len(model.marked)} cards to"
    at, ids = layout.focus_index(model), " ".join(sorted(model.marked))
    return replace(model, overlay=Menu("move", title, items, at, target=ids))


def project_menu(model: Model) -> Step:
    items = tuple((key, _described(model, key, name)) for key, name in model.projects)
    menu = Menu("project", "Projects", items)
    at = next((i for i, (key, _) in enumerate(menu.items) if key == model.project), 0)
    return replace(model, overlay=replace(menu, index=at)), (LoadProjects(),)


def _described(model: Model, key: str, name: str) -> str:
    if model.everything:
        from cortex_cli.board import everything

        return everything.described(model, key)
    return f"{key}  {name}"


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
    if model.project or model.dashboard or model.everything:
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
    if prompt.kind == "search":
        from cortex_cli.board import search

        return search.typed(model, text)
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
    if prompt.kind == "search":
        from cortex_cli.board import search

        return search.submitted(model)
    model = undrafted(model, prompt)
    if not text:
        return model, ()
    from cortex_cli.board import echoes

    if prompt.kind == "title":
        return echoes.create(model, prompt.project or model.project, text, prompt.target)
    return echoes.comment(model, prompt.target, text)


def abandon(model: Model) -> Step:
    """Leave the input. The text stays for the next time; a filter goes back to what it was."""
    prompt = model.overlay
    model = replace(model, overlay=None)
    if isinstance(prompt, Prompt) and prompt.kind == "filter":
        return replace(model, filter=prompt.before), ()
    if isinstance(prompt, Prompt) and prompt.kind == "search":
        from cortex_cli.board import search

        return search.abandoned(model), ()
    if isinstance(prompt, Prompt):
        return drafted(model, draft_name(prompt.kind, prompt.target), prompt.text), ()
    return model, ()


def refused(model: Model, answer: Refused) -> Step:
    """What was typed is not lost: the prompt opens with it the next time."""
    action, what = {
        "title": ("new", "The ticket was not created"),
        "comment": ("comment", "The comment was not added"),
    }[answer.prompt]
    key = keymap.key_of(model, action)
    model = drafted(model, answer.prompt, answer.draft)
    return moves.toast(model, f"{what}: {answer.why} {key} brings your text back.", bad=True), ()


def drafted(model: Model, name: str, text: str) -> Model:
    """Keep a text for the next time; of very many the oldest goes."""
    drafts = {key: kept for key, kept in model.drafts.items() if key != name}
    if text:
        drafts[name] = text
    return replace(model, drafts=dict([*drafts.items()][-MAX_DRAFTS:]))


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
