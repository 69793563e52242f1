"""`cortex inbox`: everything that waits for a person, answered there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from cortex_cli import completion, sdk
from cortex_cli.context import App, api
from cortex_cli.failures import Missing, explain
from cortex_cli.options import Noun, finish, given, json_option
from cortex_cli.output import ago, clean, clean_lines, print_json, print_table, say

_ENDED_BADLY = ("failed", "lost")


@dataclass(frozen=True)
class Item:
    """kind: permission, question, turn, review, failed or lost · thing: the API's object, which of
    a turn is the attempt."""

    kind: str
    ticket: str
    since: str
    words: str
    thing: dict[str, Any]


@click.group("inbox", cls=Noun, invoke_without_command=True)
@click.option("--all", "everywhere", is_flag=True, help="Of all projects.")
@json_option
@click.option("-p", "--project", "key", metavar="KEY", shell_complete=completion.projects,
              help="The project.")  # fmt: skip
@click.pass_context
def command(ctx: click.Context, everywhere: bool, as_json: bool, key: str | None) -> None:
    """List what waits for a person: questions, turns, reviews, failures.

    Without a command it lists them: those of the project, or of all where none is named and
    there are several.
    """
    ctx.obj.project_option = key or ctx.obj.project_option
    if ctx.invoked_subcommand is not None:
        return
    items = list(waiting(ctx.obj, None if everywhere else _project(ctx.obj)))
    if as_json:
        print_json([{"kind": item.kind, **item.thing} for item in items])
        return
    if not items:
        say("Nothing waits for you.")
        return
    print_table(
        ("ID", "WHAT", "TICKET", "AGE", "SUMMARY"),
        [(i.thing["id"], i.kind, i.ticket, ago(i.since), i.words) for i in items],
    )
    say("Answer with `cortex inbox answer`, one after the other.")


@command.command("answer")
@click.argument("item_id", required=False, metavar="[ID]", shell_complete=completion.waiting)
@click.argument("choices", nargs=-1, metavar="[CHOICE]...")
@click.option("-m", "--text", help="In words, where the question allows it; or a review's note.")
@click.option("--all", "everywhere", is_flag=True, help="Of all projects.")
@json_option
@click.pass_obj
def answer(
    app: App, item_id: str | None, choices: tuple[str, ...], text: str | None, everywhere: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Answer one, or on a terminal all of them.

    ID is one's id, or its ticket when nothing else waits there. CHOICE is the name or the number
    of an option: approve, changes or dismiss for a review, retry or leave for a failure. An agent
    whose turn is over hears whatever words there are.
    """
    items = list(waiting(app, None if everywhere or item_id else _project(app)))
    if item_id is None:
        _ask_for_each(app, items)
        return
    item = _the_item(items, item_id)
    if item.kind == "turn" and choices and text is None:
        choices, text = (), " ".join(choices)
    if not choices and text is None:
        if not sys.stdin.isatty():
            offered = ", ".join(_offered(item)) or "your words, after -m"
            raise click.UsageError(f"Say what to answer: {offered}.")
        _ask(app, item)
        return
    answered = _send(app, item, [_choice(item, said) for said in choices], text)
    finish(answered, as_json, _said(item, [_choice(item, said) for said in choices], text))


def waiting(app: App, project: str | None) -> Iterator[Item]:
    """Yield what waits, the most urgent kind first. project: None for all."""
    scope = given(project=project)
    for asked in app.client.paginate(api("permissions"), {**scope, "state": "open"}):
        yield Item(asked["kind"], asked["ticket"], asked["created_at"], asked["title"], asked)
    yield from _turns(app, scope)
    for review in app.client.paginate(api("reviews"), {**scope, "state": "requested"}):
        words = review["summary"].partition("\n")[0]
        yield Item("review", review["ticket"], review["created_at"], words, review)
    yield from _ended_badly(app, scope)


def _turns(app: App, scope: dict[str, Any]) -> Iterator[Item]:
    """Yield each attempt that asks nothing and goes on when something is said to its agent."""
    for attempt in app.client.paginate(api("attempts"), {**scope, "status": "waiting"}):
        if attempt["session"] is None:
            continue
        session = app.client.get(api("sessions", attempt["session"]))
        asked = {"ticket": attempt["ticket"], "state": "open"}
        open_ones = app.client.paginate(api("permissions"), asked)
        if session["status"] == "idle" and all(p["attempt"] != attempt["id"] for p in open_ones):
            words = f"{attempt['agent']} waits for what you say next"
            yield Item("turn", attempt["ticket"], attempt["updated_at"], words, attempt)


def _ended_badly(app: App, scope: dict[str, Any]) -> Iterator[Item]:
    """Yield each attempt that failed or is lost while nothing was tried since, and its ticket is
    neither done nor put away."""
    newest: dict[str, dict[str, Any]] = {}
    for status in _ENDED_BADLY:
        for attempt in app.client.paginate(api("attempts"), {**scope, "status": status}):
            other = newest.get(attempt["ticket"])
            if other is None or other["number"] < attempt["number"]:
                newest[attempt["ticket"]] = attempt
    done: dict[str, str] = {}
    for attempt in newest.values():
        project = attempt["project"]
        if project not in done:
            done[project] = _done_column(app, project)
        if _still_matters(app, attempt, done[project]):
            words = f"{attempt['agent']}: {attempt['reason'] or 'no reason is known'}"
            since = attempt["ended_at"] or attempt["updated_at"]
            yield Item(attempt["status"], attempt["ticket"], since, words, attempt)


def _done_column(app: App, project: str) -> str:
    named = app.client.get(api("projects", project, "settings"))["values"].get("done_column")
    return str(named or app.client.get(api("projects", project))["columns"][-1]["name"])


def _still_matters(app: App, attempt: dict[str, Any], done: str) -> bool:
    ticket = app.client.get(api("tickets", attempt["ticket"]))
    if ticket["archived"] or ticket["status"] == done:
        return False
    found = app.client.paginate(api("tickets", attempt["ticket"], "attempts"))
    return all(int(other["number"]) <= int(attempt["number"]) for other in found)


def _project(app: App) -> str | None:
    projects = app.projects() if app.named_project() is None else []
    return None if len(projects) > 1 and app.project_here(projects) is None else app.project()


def _the_item(items: list[Item], named: str) -> Item:
    """Raises Missing when it is none, UsageError when it may be several."""
    found = [item for item in items if item.thing["id"] == named]
    found = found or [item for item in items if item.ticket.lower() == named.lower()]
    if not found:
        raise Missing(f"Nothing waits for an answer under {named}; `cortex inbox` shows what does.")
    if len(found) > 1:
        which = "; ".join(f"{item.kind} {item.thing['id']}" for item in found)
        raise click.UsageError(f"On {named}, {len(found)} things wait. Name one by id: {which}.")
    return found[0]


def _ask_for_each(app: App, items: list[Item]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal, name what is answered. See `cortex inbox`.")
    if not items:
        say("Nothing waits for you.")
    for item in items:
        try:
            _ask(app, item)
        except sdk.Refused as error:  # answered elsewhere meanwhile, or gone
            say(explain(error))


def _ask(app: App, item: Item) -> None:
    """Show one, ask until it can be read, and send the answer; an empty one leaves it."""
    thing = item.thing
    click.echo(click.style(f"{item.ticket}  {item.kind}: {clean(item.words)}", bold=True))
    for line in _more(item):
        click.echo(clean_lines(line))
    if item.kind == "review" and thing["branch"]:
        click.echo(f"  branch {clean(thing['branch'])}")
    offered = _offered(item)
    for number, (name, label) in enumerate(offered.items(), start=1):
        click.echo(f"  {number}  {clean(label if label == name else f'{name}: {label}')}")
    while said := str(click.prompt(_hint(item), default="", show_default=False)).strip():
        try:
            choices, text = _read(item, said)
        except click.UsageError as error:
            say(error.format_message())
            continue
        _send(app, item, choices, text)
        say(_said(item, choices, text))
        return


def _more(item: Item) -> list[str]:
    """What is asked beyond the words of its line, each once."""
    thing = item.thing
    if item.kind in ("permission", "question"):
        from cortex_cli.board.work import about

        said = about(thing["title"], thing.get("detail") or "")
        more = said.removeprefix(item.words).lstrip("\n")
    else:
        more = str(thing.get("summary") or "").removeprefix(item.words).strip("\n")
    return [more] if more.strip() else []


def _hint(item: Item) -> str:
    if item.kind == "review":
        how = "number, and a note if you like"
    elif item.kind == "turn":
        how = "your words"
    elif item.thing.get("free_text"):
        how = "number, or your words" if _offered(item) else "your words"
    else:
        how = "numbers, with commas" if item.thing.get("multiple") else "number"
    return f"Answer ({how}; empty leaves it)"


def _read(item: Item, said: str) -> tuple[list[str], str | None]:
    """Return the choices and the text that somebody typed. Raises UsageError."""
    if item.kind == "turn":
        return [], said
    if item.kind == "review":
        first, _, note = said.partition(" ")
        return [_choice(item, first)], note.strip() or None
    try:
        return [_choice(item, said)], None
    except click.UsageError:
        if item.thing.get("multiple") and "," in said:
            return [_choice(item, one.strip()) for one in said.split(",") if one.strip()], None
        if not item.thing.get("free_text"):
            raise
        return [], said


def _offered(item: Item) -> dict[str, str]:
    """The answers by name, with what they are called."""
    if item.kind in _ENDED_BADLY:
        return {"retry": "retry", "leave": "leave"}
    if item.kind == "turn":
        return {}
    if item.kind == "review":
        return {name: name for name in ("approve", "changes", "dismiss")}
    return {option["id"]: option["label"] for option in item.thing["options"]}


def _choice(item: Item, said: str) -> str:
    """Return the name of an option from its name, label or number. Raises UsageError."""
    offered = _offered(item)
    wanted = said.lower()
    numbered = {str(number): name for number, name in enumerate(offered, start=1)}
    labelled = {label.lower(): name for name, label in offered.items()}
    named = {name.lower(): name for name in offered}
    for known in (named, labelled, numbered):  # an option may itself be called 2
        if wanted in known:
            return known[wanted]
    raise click.UsageError(f"{said!r} is not offered; there is {', '.join(offered)}.")


def _send(app: App, item: Item, choices: list[str], text: str | None) -> dict[str, Any]:
    """Send an answer and return the thing as it is then."""
    thing = item.thing
    if item.kind == "review":
        states = {"approve": "approved", "changes": "changes_requested", "dismiss": "dismissed"}
        if len(choices) != 1:
            raise click.UsageError("A review takes one of approve, changes and dismiss.")
        fields = {"state": states[choices[0]], **given(note=text)}
        return dict(app.client.patch(api("reviews", thing["id"]), fields))
    if item.kind in _ENDED_BADLY:
        if len(choices) != 1 or text is not None:
            raise click.UsageError("A failure takes one of retry and leave.")
        if choices == ["retry"]:
            return dict(app.client.post(api("attempts", thing["id"], "retry")))
        return thing
    if item.kind == "turn":
        path = api("sessions", thing["session"], "prompt")
        return dict(app.client.post(path, {"text": text or ""}))
    path = api("permissions", thing["id"], "reply")
    return dict(app.client.post(path, {"choices": choices, **given(text=text)}))


def _said(item: Item, choices: list[str], text: str | None) -> str:
    return f"{item.ticket}: {clean(', '.join(choices) or text or '')}."
