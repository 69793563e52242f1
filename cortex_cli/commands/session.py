"""`cortex session`: what an agent is doing on a ticket."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import click

from cortex_cli.context import App, api
from cortex_cli.options import (
    Noun,
    finish,
    given,
    json_option,
    revision_option,
    subject_and_text,
    text_options,
    ticket_argument,
)
from cortex_cli.output import ago, clean, clean_lines, print_fields, print_json, print_table

_STATUSES = ("starting", "working", "idle", "awaiting_input", "error")
_OUTCOMES = ("succeeded", "failed", "cancelled")
_ROLES = ("user", "assistant", "system", "tool")
_SESSION = click.argument("session", required=False, metavar="[SESSION]")


@click.group("session", cls=Noun)
def command() -> None:
    """Report what an agent is doing.

    SESSION is a session's id. It defaults to CORTEX_SESSION, else to the one session of the
    ticket in CORTEX_TICKET that has not ended.
    """


@command.command("list")
@ticket_argument()
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@json_option
@click.pass_obj
def list_sessions(app: App, ticket: str | None, active: bool, as_json: bool) -> None:
    """List the sessions of a ticket, or else of the project."""
    if ticket or app.ticket_is_set:
        query: dict[str, Any] = {"ticket": app.ticket(ticket)}
    else:
        query = {"project": app.project()}
    sessions = list(app.client.paginate(api("sessions"), {**query, "active": active or None}))
    if as_json:
        print_json(sessions)
        return
    print_table(
        ("ID", "TICKET", "STATUS", "AGENT", "AGE", "TITLE"),
        [
            (s["id"], s["ticket"], _doing(s), s["agent"], ago(s["created_at"]), s["title"])
            for s in sessions
        ],
    )


@command.command("show")
@_SESSION
@json_option
@click.pass_obj
def show(app: App, session: str | None, as_json: bool) -> None:
    """Show a session."""
    found = app.client.get(api("sessions", _the_session(app, session)))
    if as_json:
        print_json(found)
        return
    shown = ("id", "ticket", "title", "status", "tool", "work", "outcome", "agent", "model")
    print_fields({name: found[name] for name in shown} | {"parent": found["parent_id"]})


@command.command("start")
@ticket_argument()
@click.option("--title", help="What it is about.")
@click.option("--agent", help="Who works.")
@click.option("--model", help="With which model.")
@click.option("--parent", "parent_id", metavar="SESSION", help="The session that started it.")
@click.option("--status", type=click.Choice(_STATUSES), help="How it begins.")
@json_option
@click.pass_obj
def start(app: App, /, ticket: str | None, as_json: bool, **fields: str | None) -> None:
    """Start a session on a ticket and print its id."""
    path = api("tickets", app.ticket(ticket), "sessions")
    session = app.client.post(path, given(**fields))
    if not as_json:
        click.echo(clean(session["id"]))
    finish(session, as_json, f"A session on {session['ticket']} is {session['status']}.")


@command.command("status")
@click.argument("words", nargs=-1, metavar="[SESSION] [STATUS]")
@click.option("--tool", help="The tool in use; '' for none.")
@click.option("--work", help="What it is at, in a few words; '' for none.")
@revision_option
@json_option
@click.pass_obj
def status(
    app: App,
    words: tuple[str, ...],
    tool: str | None,
    work: str | None,
    revision: int | None,
    as_json: bool,
) -> None:
    """Say what a session is doing, or print it.

    STATUS is starting, working, idle, awaiting_input or error.
    """
    session, wanted = _session_and_status(words)
    path = api("sessions", _the_session(app, session))
    fields = given(status=wanted)
    fields |= {k: v or None for k, v in (("tool", tool), ("work", work)) if v is not None}
    if not fields:
        found = app.client.get(path)
        print_json(found) if as_json else click.echo(clean(_doing(found)))
        return
    found = app.client.patch(path, {**fields, **given(revision=revision)})
    finish(found, as_json, f"The session on {found['ticket']} is {_doing(found)}.")


@command.command("edit")
@_SESSION
@click.option("--title", help="What it is about.")
@click.option("--agent", help="Who works.")
@click.option("--model", help="With which model.")
@revision_option
@json_option
@click.pass_obj
def edit(
    app: App, /, session: str | None, as_json: bool, revision: int | None, **fields: Any
) -> None:
    """Change a session's title, agent or model."""
    changes = given(**fields)
    if not changes:
        raise click.UsageError("Say what to change: --title, --agent, --model.")
    path = api("sessions", _the_session(app, session))
    found = app.client.patch(path, {**changes, **given(revision=revision)})
    finish(found, as_json, f"The session on {found['ticket']} is changed.")


@command.command("end")
@_SESSION
@click.option("--outcome", type=click.Choice(_OUTCOMES), help="How it went.")
@revision_option
@json_option
@click.pass_obj
def end(
    app: App, session: str | None, outcome: str | None, revision: int | None, as_json: bool
) -> None:
    """End a session."""
    path = api("sessions", _the_session(app, session), "end")
    found = app.client.post(path, given(outcome=outcome, revision=revision))
    finish(found, as_json, f"The session on {found['ticket']} has ended.")


@command.command("messages")
@_SESSION
@json_option
@click.pass_obj
def messages(app: App, session: str | None, as_json: bool) -> None:
    """Print a session's conversation."""
    path = api("sessions", _the_session(app, session), "messages")
    found = list(app.client.paginate(path))
    if as_json:
        print_json(found)
        return
    for message in found:
        streaming = " (streaming)" if message["status"] == "streaming" else ""
        click.echo(click.style(f"{clean(message['role'])}{streaming}", bold=True))
        for part in message["parts"]:
            click.echo(clean_lines(_part_text(part)))
        click.echo()


@command.command("say")
@click.argument("words", nargs=-1, metavar="[SESSION] [TEXT]")
@text_options("the text", "--text")
@click.option(
    "--role", type=click.Choice(_ROLES), default="assistant", show_default=True, help="Who says it."
)
@click.option(
    "--message", "message_id", metavar="ID", help="Write this message instead of a new one."
)
@json_option
@click.pass_obj
def say_text(
    app: App,
    words: tuple[str, ...],
    text: str | None,
    text_file: Path | None,
    role: str,
    message_id: str | None,
    as_json: bool,
) -> None:
    """Add a message to a session's conversation. TEXT may be - for standard input."""
    is_set = app.ticket_is_set or bool(app.environ.get("CORTEX_SESSION"))
    session, said = subject_and_text(is_set, words, text, text_file)
    if said is None:
        raise click.UsageError("Give the text, -F FILE, or - for standard input.")
    path = api("sessions", _the_session(app, session), "messages", message_id or str(uuid.uuid4()))
    body = {"role": role, "parts": [{"type": "text", "text": said}], "status": "complete"}
    message = app.client.put(path, body)
    if not as_json:
        click.echo(clean(message["id"]))
    finish(message, as_json, f"Message {message['number']} on {message['ticket']}.")


@command.command("ask")
@click.argument("question")
@click.option("--session", "named", metavar="SESSION", help="Which session asks.")
@click.option("-o", "--option", "options", multiple=True, help="An answer to offer; repeat it.")
@click.option("--detail", default="", help="More about it, in Markdown.")
@click.option("--multiple", is_flag=True, help="Several options may be chosen.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until it is answered.")
@json_option
@click.pass_obj
def ask(app: App, /, question: str, named: str | None, **options: Any) -> None:
    """Ask a person, wait, and print the answer.

    The answer is the chosen options, a line each; without --option a text. Exit code 1 when
    nobody is asked any more. With --no-wait the question's id is printed, for `session answer`.
    """
    from cortex_cli.commands import session_ask

    session_ask.ask(app, _the_session(app, named), question, **options)


@command.command("answer")
@click.argument("question", metavar="ID")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until it is answered.")
@json_option
@click.pass_obj
def answer(app: App, question: str, wait: bool, as_json: bool) -> None:
    """Print the answer to a question that was asked before.

    Exit code 1 when there is none. People answer with `cortex inbox answer`.
    """
    from cortex_cli.commands import session_ask

    session_ask.answer(app, question, wait=wait, as_json=as_json)


def _session_and_status(words: tuple[str, ...]) -> tuple[str | None, str | None]:
    if len(words) > 2:
        raise click.UsageError("Too many arguments.")
    if len(words) == 1 and words[0] not in _STATUSES:
        return words[0], None
    wanted = words[-1] if words else None
    if wanted is not None and wanted not in _STATUSES:
        raise click.UsageError(f"STATUS is one of {', '.join(_STATUSES)}; not {wanted!r}.")
    return (words[0] if len(words) == 2 else None), wanted


def _the_session(app: App, given_id: str | None) -> str:
    """Return the id of the session that is meant. Raises UsageError when it is not clear."""
    named = given_id or app.environ.get("CORTEX_SESSION")
    if named:
        return named
    ticket = app.environ.get("CORTEX_TICKET")
    if not ticket:
        raise click.UsageError("Name a session, or set CORTEX_SESSION or CORTEX_TICKET.")
    found = app.client.paginate(api("sessions"), {"ticket": ticket, "active": True})
    active = [session["id"] for session in found]
    if len(active) == 1:
        return str(active[0])
    count = "no session that has not ended" if not active else f"{len(active)} sessions"
    raise click.UsageError(f"{ticket} has {count}. See `cortex session list`.")


def _doing(session: dict[str, Any]) -> str:
    what = session["outcome"] or session["status"]
    more = " ".join(filter(None, [session["tool"], session["work"]]))
    return f"{what}: {more}" if more and session["status"] != "ended" else str(what)


def _part_text(part: dict[str, Any]) -> str:
    name = f"[{part['tool']}] " if part.get("tool") else ""
    marks = {"thinking": "(thinking) ", "error": "error: "}
    return f"{marks.get(part['type'], '')}{name}{part['text']}"
