"""What each action of the key table does.

Modules that the first frame can do without are imported by the first key that needs them.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from cortex_cli.board import connection, detail, keymap, layout, logs, moves, prompts, selection
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
# What of the model stays when another project is shown: the screen, the user's choices, numbers
# that must not come twice, what was kept for the user, and what is under way, which goes on.
OF_NO_PROJECT = (
    "url", "stream", "now", "width", "height", "ascii_only", "mouse", "settings", "projects",
    "toasts", "sort", "changes", "kept", "dashboards", "journal", "hidden", "pending", "works",
    "echoes", "intents", "undo", "redo", "drafts",
)  # fmt: skip

Action = Callable[[Model], Step]


def _only(change: Callable[[Model], Model]) -> Action:
    return lambda model: (change(model), ())


def _open(model: Model) -> Step:
    return detail.open_ticket(model, model.ticket) if model.ticket else (model, ())


def _copy(model: Model) -> Step:
    if model.ticket is None:
        return model, ()
    return model, (Copy(model.ticket.key),)  # what comes of it is said by `pastes.copied`


def _needs_me(model: Model) -> Model:
    """Show only what needs a person, or all; the cursor does not stay where nothing is left."""
    model = replace(model, needs_me=not model.needs_me)
    left = [shown for shown in selection.columns(model) if shown.tickets]
    if left and model.focus not in [shown.column.name for shown in left]:
        model = replace(model, focus=left[0].column.name, selected=None)
    key = keymap.key_of(model, "needs-me")
    text = f"Only what needs you; {key} shows all" if model.needs_me else "All cards"
    return moves.toast(model, text)


def _mouse(model: Model) -> Step:
    model = replace(model, mouse=not model.mouse)
    return moves.toast(model, f"Mouse {'on' if model.mouse else 'off'}"), (UseMouse(model.mouse),)


def _sideways(model: Model, by: int) -> Step:
    if not model.marked:
        return moves.sideways(model, by)
    from cortex_cli.board import verbs

    return verbs.sideways(model, by)


def _back(model: Model) -> Step:
    """Back to a list that waits for a ticket of another project; else clear the marks, or the
    filter."""
    if model.pane is not None:
        from cortex_cli.board import screens

        return screens.close(model)
    if model.marked:
        return replace(model, marked=frozenset()), ()
    return replace(model, filter="", needs_me=False), ()


def _page(model: Model, pages: float) -> Step:
    if model.detail:
        return detail.scroll(model, _rows(detail.page(model), pages))
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
    return MENUS[menu.kind](model, menu, value)


def submit(model: Model) -> Step:
    """Take the line that was typed."""
    prompt = model.overlay
    if isinstance(prompt, Prompt) and prompt.kind == "delete":
        from cortex_cli.board import verbs

        return verbs.delete_typed(model, prompt)
    if isinstance(prompt, Prompt) and prompt.kind == "events":
        from cortex_cli.board import events_pane

        return events_pane.filtered(replace(model, overlay=None), prompt.text.strip())
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


def _later(module: str, name: str, *given: int) -> Callable[..., Step]:
    """An action of a module that is imported when it is first used. given: more arguments."""

    def run(*arguments: object) -> Step:
        action: Callable[..., Step] = getattr(import_module(f"cortex_cli.board.{module}"), name)
        return action(*arguments, *given)

    return run


def _motions(scope: str, module: str, without: tuple[str, ...] = ()) -> dict[str, Action]:
    """Those of a screen that is a list, by its `step` and its `page`."""
    known = {
        "down": ("step", 1), "up": ("step", -1), "first": ("step", -END), "last": ("step", END),
        "page-down": ("page", 1), "page-up": ("page", -1),
    }  # fmt: skip
    return {
        f"{scope}-{motion}": _later(module, name, by)
        for motion, (name, by) in known.items()
        if motion not in without
    }


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
    if model.everything:
        from cortex_cli.board import everything

        model, more = everything.leave(replace(model, dashboard=None), project)
        return model, (*effects, *more)
    if project == model.project and model.board is not None:
        return replace(model, dashboard=None), effects
    effects += detail.close(model)[1] if model.detail else ()
    model = Model(project, **{name: getattr(model, name) for name in OF_NO_PROJECT})
    model, more = connection.follow(model, project)
    return model, (*effects, *more)


def _retry(model: Model) -> Step:
    if model.dashboard:  # below the list of what needs a person
        from cortex_cli.board import dashboard

        return dashboard.retry(model)
    if not model.project and not model.everything:
        return prompts.project_menu(model)
    return connection.retry(model)


def _scroll_help(by: int) -> Action:
    def scroll(model: Model) -> Step:
        from cortex_cli.board import help_lines

        return help_lines.scroll(model, by)

    return scroll


def _close(model: Model) -> Step:
    return replace(model, overlay=None), ()


# What comes of an entry of a menu, by the menu's kind: of the model, the menu, and its value.
MENUS: dict[str, Callable[[Model, Menu, str], Step]] = {
    "answer": _later("answers", "chosen"),
    "draft": _later("editing", "draft_chosen"),
    "failed": _later("needs_actions", "failure_chosen"),
    "move": _later("verbs", "move_chosen"),
    "new": _later("everything", "new_chosen"),
    "project": lambda model, menu, value: switch(model, value),
    "remove": _later("verbs", "remove_chosen"),
    "review": _later("answers", "review_chosen"),
    "sort": lambda model, menu, value: (replace(model, sort=value), ()),
    "start": _later("agents", "chosen"),
    "stop": _later("agents", "stop_chosen"),
}

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
    "close": detail.leave,
    "move-left": lambda m: _sideways(m, -1),
    "move-right": lambda m: _sideways(m, 1),
    "move-down": lambda m: moves.within(m, 1),
    "move-up": lambda m: moves.within(m, -1),
    "scroll-down": lambda m: detail.scroll(m, 1),
    "scroll-up": lambda m: detail.scroll(m, -1),
    "scroll-first": lambda m: detail.scroll_to(m, end=False),
    "scroll-last": lambda m: detail.scroll_to(m, end=True),
    "follow": lambda m: detail.scroll_to(m, end=True),
    "search": _later("search", "open_it"),
    "next-hit": _later("search", "next_hit"),
    "previous-hit": _later("search", "previous_hit"),
    "next-part": lambda m: detail.part(m, 1),
    "previous-part": lambda m: detail.part(m, -1),
    "older-attempt": lambda m: logs.choose(m, -1),
    "newer-attempt": lambda m: logs.choose(m, 1),
    "previous-tab": lambda m: detail.step_tab(m, -1),
    "next-tab": lambda m: detail.step_tab(m, 1),
    "move": prompts.move_menu,
    "new": prompts.new_ticket,
    "comment": prompts.comment,
    "mark-card": _later("verbs", "mark"),
    "sort": _later("verbs", "sort_menu"),
    "remove": _later("verbs", "remove"),
    "edit": _later("editing", "edit"),
    "new-in-editor": _later("editing", "new"),
    "write": _later("editing", "write"),
    "undo": _later("history", "undo"),
    "redo": _later("history", "redo"),
    "filter": prompts.filter_cards,
    "needs-me": _only(_needs_me),
    "copy": _copy,
    "retry": _retry,
    "projects": prompts.project_menu,
    "everything": _later("everything", "toggle"),
    "help": lambda m: (replace(m, overlay=Help()), ()),
    "palette": _later("palette", "open_it"),
    "palette-run": _later("palette", "run"),
    **_motions("palette", "palette", without=("first", "last")),
    "palette-close": _close,
    "mouse": _mouse,
    "bell": _later("alerts", "toggle"),
    "redraw": lambda m: (m, (Redraw(),)),
    "suspend": lambda m: (m, (Suspend(),)),
    "back": _back,
    "quit": lambda m: (m, (Quit(),)),
    "menu-down": _menu(1),
    "menu-up": _menu(-1),
    "menu-first": _menu(-END),
    "menu-last": _menu(END),
    "choose": choose,
    "cancel": _close,
    "submit": submit,
    "mark": _mark,
    "dashboard": _later("dashboard", "open_it"),
    **_motions("dashboard", "dashboard"),
    "dashboard-open": _later("dashboard", "enter"),
    "dashboard-close": _later("dashboard", "close"),
    "dashboard-retry": _later("dashboard", "retry"),
    "needs": _later("needs_actions", "open_it"),
    **_motions("needs", "needs_actions"),
    **{
        f"needs-{name}": _later("needs_actions", name.replace("-", "_"))
        for name in ("open", "answer", "again", "say", "copy", "hide", "show-hidden")
    },
    "needs-stop": _later("agents", "stop"),
    "needs-close": _later("screens", "leave"),
    "events": _later("events_pane", "open_it"),
    **_motions("events", "events_pane", without=("last",)),
    **{
        f"events-{name}": _later("events_pane", name)
        for name in ("open", "ticket", "filter", "follow", "close")
    },
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
    "help-first": _scroll_help(-END),
    "help-last": _scroll_help(END),
    "help-search": _later("palette", "open_it"),
    "close-help": _close,
}
