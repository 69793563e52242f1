"""What each action of the key table does.

Modules that the first frame can do without are imported by the first key that needs them.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from cortex_cli.board import connection, detail, layout, moves, prompts, selection
from cortex_cli.board.messages import (
    Copy,
    Effect,
    FollowDashboard,
    Quit,
    Redraw,
    Suspend,
    UseMouse,
)
from cortex_cli.board.model import Help, Menu, Model, Prompt
from cortex_cli.board.moves import Step

END = 1_000_000_000

Action = Callable[[Model], Step]


def _only(change: Callable[[Model], Model]) -> Action:
    return lambda model: (change(model), ())


def _open(model: Model) -> Step:
    return detail.open_ticket(model, model.ticket) if model.ticket else (model, ())


def _copy(model: Model) -> Step:
    if model.ticket is None:
        return model, ()
    return moves.toast(model, f"Copied {model.ticket.key}"), (Copy(model.ticket.key),)


def _needs_me(model: Model) -> Model:
    """Show only what needs a person, or all; the cursor does not stay where nothing is left."""
    model = replace(model, needs_me=not model.needs_me)
    left = [shown for shown in selection.columns(model) if shown.tickets]
    if left and model.focus not in [shown.column.name for shown in left]:
        model = replace(model, focus=left[0].column.name, selected=None)
    return moves.toast(model, "Only what needs you; F shows all" if model.needs_me else "All cards")


def _mouse(model: Model) -> Step:
    model = replace(model, mouse=not model.mouse)
    return moves.toast(model, f"Mouse {'on' if model.mouse else 'off'}"), (UseMouse(model.mouse),)


def _back(model: Model) -> Model:
    return replace(model, filter="", needs_me=False)


def _page(model: Model, pages: float) -> Step:
    if model.detail:
        return detail.scroll(model, _rows(detail.page(model), pages)), ()
    return selection.step(model, _rows(layout.page(model), pages)), ()


def _rows(page: int, pages: float) -> int:
    rows = max(1, int(page * abs(pages)))
    return rows if pages > 0 else -rows


def _menu(by: int) -> Action:
    return _only(
        lambda m: prompts.step_menu(m, m.overlay.index + by) if isinstance(m.overlay, Menu) else m
    )


def choose(model: Model) -> Step:
    """Take the selected entry of the menu."""
    menu = model.overlay
    if not isinstance(menu, Menu) or not menu.items:
        return model, ()
    model = replace(model, overlay=None)
    value = menu.items[menu.index][0]
    if menu.kind in ("start", "stop", "answer", "review"):
        return _chosen(model, menu, value)
    if menu.kind == "move":
        ticket = model.board.tickets.get(menu.target) if model.board else None
        return moves.to_column(model, ticket, value) if ticket else (model, ())
    return switch(model, value)


def _chosen(model: Model, menu: Menu, value: str) -> Step:
    from cortex_cli.board import agents, answers

    match menu.kind:
        case "start":
            return agents.chosen(model, menu, value)
        case "stop":
            return agents.stop_chosen(model, value)
        case "review":
            return answers.review_chosen(model, menu, value)
    return answers.chosen(model, menu, value)


def _submit(model: Model) -> Step:
    """Take the line that was typed."""
    prompt = model.overlay
    if not isinstance(prompt, Prompt) or prompt.kind not in ("answer", "note", "say"):
        return prompts.submit(model)
    from cortex_cli.board import agents, answers

    model = prompts.undrafted(replace(model, overlay=None), prompt)
    text = prompt.text.strip()
    if prompt.kind == "note":
        return answers.noted(model, prompt, text)
    if not text:
        return model, ()
    said = agents.said if prompt.kind == "say" else answers.answered_in_words
    return said(model, prompt, text)


def _later(module: str, name: str) -> Action:
    """An action of a module that is imported when it is first used."""

    def run(model: Model) -> Step:
        action: Action = getattr(import_module(f"cortex_cli.board.{module}"), name)
        return action(model)

    return run


_mark = _later("answers", "mark")


def digit(model: Model, number: int) -> Step:
    """A digit in a menu takes that entry, or marks it where several can be chosen."""
    menu = model.overlay
    if not isinstance(menu, Menu) or not 1 <= number <= len(menu.items):
        return model, ()
    model = replace(model, overlay=replace(menu, index=number - 1))
    return _mark(model) if menu.multiple else choose(model)


def switch(model: Model, project: str) -> Step:
    """Follow another project; what belongs to this one goes."""
    effects: tuple[Effect, ...] = (FollowDashboard(0),) if model.dashboard else ()
    if project == model.project and model.board is not None:
        return replace(model, dashboard=None), effects
    effects += detail.close(model)[1] if model.detail else ()
    model = Model(
        project=project,
        url=model.url,
        stream=model.stream,
        now=model.now,
        width=model.width,
        height=model.height,
        ascii_only=model.ascii_only,
        mouse=model.mouse,
        projects=model.projects,
        toasts=model.toasts,
        dashboards=model.dashboards,
    )
    model, more = connection.follow(model, project)
    return model, (*effects, *more)


def _retry(model: Model) -> Step:
    if not model.project:
        return prompts.project_menu(model)
    return connection.retry(model)


def _scroll_help(by: int) -> Action:
    def scroll(model: Model) -> Step:
        if not isinstance(model.overlay, Help):
            return model, ()
        return replace(model, overlay=Help(min(max(0, model.overlay.top + by), 500))), ()

    return scroll


def _close(model: Model) -> Step:
    return replace(model, overlay=None), ()


ACTIONS: dict[str, Action] = {
    "left": _only(lambda m: selection.step_column(m, -1)),
    "right": _only(lambda m: selection.step_column(m, 1)),
    "down": _only(lambda m: selection.step(m, 1)),
    "up": _only(lambda m: selection.step(m, -1)),
    "first": _only(lambda m: selection.step(m, -END)),
    "last": _only(lambda m: selection.step(m, END)),
    "half-down": lambda m: _page(m, 0.5),
    "half-up": lambda m: _page(m, -0.5),
    "page-down": lambda m: _page(m, 1),
    "page-up": lambda m: _page(m, -1),
    "open": _open,
    "close": detail.close,
    "move-left": lambda m: moves.sideways(m, -1),
    "move-right": lambda m: moves.sideways(m, 1),
    "move-down": lambda m: moves.within(m, 1),
    "move-up": lambda m: moves.within(m, -1),
    "scroll-down": _only(lambda m: detail.scroll(m, 1)),
    "scroll-up": _only(lambda m: detail.scroll(m, -1)),
    "scroll-first": _only(lambda m: detail.scroll_to(m, end=False)),
    "scroll-last": _only(lambda m: detail.scroll_to(m, end=True)),
    "follow": _only(lambda m: detail.scroll_to(m, end=True)),
    "previous-tab": lambda m: detail.step_tab(m, -1),
    "next-tab": lambda m: detail.step_tab(m, 1),
    "move": prompts.move_menu,
    "new": prompts.new_ticket,
    "comment": prompts.comment,
    "undo": moves.undo,
    "filter": prompts.filter_cards,
    "needs-me": _only(_needs_me),
    "copy": _copy,
    "retry": _retry,
    "projects": prompts.project_menu,
    "help": lambda m: (replace(m, overlay=Help()), ()),
    "mouse": _mouse,
    "redraw": lambda m: (m, (Redraw(),)),
    "suspend": lambda m: (m, (Suspend(),)),
    "back": _only(_back),
    "quit": lambda m: (m, (Quit(),)),
    "menu-down": _menu(1),
    "menu-up": _menu(-1),
    "menu-first": _menu(-END),
    "menu-last": _menu(END),
    "choose": choose,
    "cancel": _close,
    "submit": _submit,
    "mark": _mark,
    "dashboard": _later("dashboard", "open_it"),
    "dashboard-down": _later("dashboard", "down"),
    "dashboard-up": _later("dashboard", "up"),
    "dashboard-page-down": _later("dashboard", "page_down"),
    "dashboard-page-up": _later("dashboard", "page_up"),
    "dashboard-first": _later("dashboard", "first"),
    "dashboard-last": _later("dashboard", "last"),
    "dashboard-open": _later("dashboard", "enter"),
    "dashboard-close": _later("dashboard", "close"),
    "dashboard-retry": _later("dashboard", "retry"),
    "start": _later("agents", "start"),
    "stop": _later("agents", "stop"),
    "retry-attempt": _later("agents", "retry"),
    "answer": _later("answers", "answer"),
    "say": _later("agents", "say"),
    "abort": _later("agents", "abort"),
    "abandon": prompts.abandon,
    **{
        name: (lambda m, name=name: prompts.edit(m, name))  # type: ignore[misc]
        for name in (
            "cursor-left",
            "cursor-right",
            "cursor-home",
            "cursor-end",
            "erase",
            "erase-next",
            "erase-word",
            "erase-before",
            "erase-after",
        )
    },
    "help-down": _scroll_help(1),
    "help-up": _scroll_help(-1),
    "help-page-down": _scroll_help(10),
    "help-page-up": _scroll_help(-10),
    "close-help": _close,
}
