"""Live completion for the shell: projects, tickets, agents and their attempts, event types, …

Silent without a server, and quick: an answer that takes longer than a moment is no help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from cortex_cli.context import App, api

_TIMEOUT_S = 1.0
_MOST = 200

# What a server of this version sends, by family, for when none answers.
_MADE = ("created", "updated", "deleted")
_FAMILIES: dict[str, tuple[str, ...]] = {
    "team": _MADE,
    "project": _MADE,
    "label": _MADE,
    "ticket": (*_MADE, "moved", "labeled", "unlabeled"),
    "comment": ("added", "updated", "deleted"),
    "review": ("requested", "resolved"),
    "session": ("started", "updated", "status", "ended"),
    "message": ("created", "updated", "delta"),
    "permission": ("asked", "replied"),
    "attempt": ("started", "status", "progress", "log", "session", "todos", "pr"),
    "git": ("status", "commit", "push"),
    "agent": ("registered", "profile"),
    "runner": ("online", "offline"),
    "opencode": ("status",),
    "batch": ("created", "started", "merging", "completed", "failed", "cancelled"),
    "batch.ticket": ("started", "completed", "failed", "skipped", "cancelled"),
    "settings": ("updated",),
    "trigger": ("fired",),
    "memory": ("changed",),
}
EVENT_TYPES = tuple(f"{family}.{name}" for family, names in _FAMILIES.items() for name in names)

Ask = Callable[[Any, App], Iterable[CompletionItem]]


def projects(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the key of a project."""

    def ask(client: Any, _app: App) -> Iterable[CompletionItem]:
        for project in _items(client, "/api/projects"):
            yield CompletionItem(project["key"], help=project["name"])

    return _answers(ctx, incomplete, ask)


def tickets(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the key of a ticket."""

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        for ticket in _items(client, "/api/tickets", **_scope(app)):
            yield CompletionItem(ticket["key"], help=ticket["title"])

    return _answers(ctx, incomplete, ask)


def ticket_then_column(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete `TICKET COLUMN`."""
    before = ctx.params.get(param.name or "")
    return (columns if before else tickets)(ctx, param, incomplete)


def columns(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a column."""

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        named = app.named_project()
        for project in _items(client, "/api/projects"):
            if named is None or project["key"].lower() == named.lower():
                for column in project["columns"]:
                    yield CompletionItem(column["name"], help=column["title"])

    return _answers(ctx, incomplete, ask)


def labels(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a label."""

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        path = f"/api/projects/{app.project()}/labels"
        return [CompletionItem(label["name"]) for label in _items(client, path)]

    return _answers(ctx, incomplete, ask)


def agents(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an agent."""

    def ask(client: Any, _app: App) -> Iterable[CompletionItem]:
        for agent in _items(client, "/api/agents"):
            yield CompletionItem(agent["name"], help=agent["adapter"])

    return _answers(ctx, incomplete, ask)


def profiles(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a profile."""

    def ask(client: Any, _app: App) -> Iterable[CompletionItem]:
        for profile in _items(client, "/api/profiles"):
            yield CompletionItem(profile["name"], help=profile["agent"])

    return _answers(ctx, incomplete, ask)


def attempts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a ticket, and behind its slash the number of one of its attempts."""
    ticket, slash, _ = incomplete.rpartition("/")
    if not slash:
        return tickets(ctx, param, incomplete)

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        for attempt in _items(client, api("attempts"), ticket=app.ticket(ticket)):
            yield CompletionItem(f"{ticket}/{attempt['number']}", help=attempt["status"])

    return _answers(ctx, incomplete, ask)


def attempts_at_work(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete the ticket of an attempt that has not ended."""
    if "/" in incomplete:
        return attempts(ctx, param, incomplete)

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        for attempt in _items(client, api("attempts"), active="true", **_scope(app)):
            about = f"{attempt['agent']} {attempt['status']}"
            yield CompletionItem(attempt["ticket"], help=about)

    return _answers(ctx, incomplete, ask)


def batches(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name or the id of a batch."""

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        for batch in _items(client, api("batches"), **_scope(app)):
            yield CompletionItem(batch["name"], help=batch["status"])
            yield CompletionItem(batch["id"], help=f"{batch['name']} {batch['status']}")

    return _answers(ctx, incomplete, ask)


def triggers(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a trigger."""

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        for trigger in _items(client, api("projects", app.project(), "triggers")):
            yield CompletionItem(trigger["name"], help="on" if trigger["enabled"] else "off")

    return _answers(ctx, incomplete, ask)


def memories(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of something that is kept for agents."""

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        found = _items(client, api("projects", app.project(), "memory"))
        return [CompletionItem(memory["name"]) for memory in found]

    return _answers(ctx, incomplete, ask)


def instances(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the id of an agent's server."""

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        for instance in _items(client, api("instances"), **_scope(app)):
            about = f"{instance['ticket']} {instance['status']}"
            yield CompletionItem(instance["id"], help=about)

    return _answers(ctx, incomplete, ask)


def waiting(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the ticket of a question or a review that waits for an answer."""

    def ask(client: Any, app: App) -> Iterable[CompletionItem]:
        scope = _scope(app)
        for asked in _items(client, api("permissions"), state="open", **scope):
            yield CompletionItem(asked["ticket"], help=asked["title"])
        for review in _items(client, api("reviews"), state="requested", **scope):
            yield CompletionItem(review["ticket"], help=review["summary"])

    return _answers(ctx, incomplete, ask)


def types(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a list of event types, comma by comma."""
    done, comma, last = incomplete.rpartition(",")

    def ask(client: Any, _app: App) -> Iterable[CompletionItem]:
        return [CompletionItem(name) for name in type_names(client.get("/api/asyncapi.json"))]

    known = {item.value for item in _answers(ctx, "", ask)} or set(EVENT_TYPES)
    families = {f"{name.split('.')[0]}.*" for name in known}
    matching = sorted(name for name in known | families if name.startswith(last))
    return [CompletionItem(f"{done}{comma}{name}") for name in matching]


def type_names(document: Any) -> list[str]:
    """Return the event types that an AsyncAPI document describes: the names of its messages."""
    messages = document.get("components", {}).get("messages", {})
    found = {str(message.get("name", key)) for key, message in messages.items()}
    return sorted(name for name in found if "." in name)


def _scope(app: App) -> dict[str, str]:
    named = app.named_project()
    return {"project": named} if named else {}


def _items(client: Any, path: str, **params: str) -> list[Any]:
    answer = client.get(path, params={"limit": _MOST, **params})
    return list(answer["items"])


def _answers(ctx: click.Context, incomplete: str, ask: Ask) -> list[CompletionItem]:
    from cortex_cli import sdk
    from cortex_cli.output import clean

    try:
        app = _app(ctx)
        where = sdk.discover(app.server_environ())
        options: dict[str, Any] = {"timeout": _TIMEOUT_S, "ca_file": where.ca_file, "retries": 1}
        with sdk.CortexClient(where.url, where.token, **options) as client:
            found = list(ask(client, app))
    except Exception:  # whatever it is: a message here would land in the middle of a command line
        return []
    wanted = incomplete.lower()
    matching = {item.value: item for item in found if item.value.lower().startswith(wanted)}
    return [
        CompletionItem(clean(value), help=clean(item.help or ""))
        for value, item in matching.items()
    ]


def _app(ctx: click.Context) -> App:
    """Return what the words typed so far say; while completing no command has run yet."""
    app = ctx.find_object(App) or App()
    here: click.Context | None = ctx
    while here is not None:
        app.project_option = app.project_option or here.params.get("project")
        app.url = app.url or here.params.get("url")
        here = here.parent
    return app
