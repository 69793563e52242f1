"""`cortex ticket`: list, show and create; the commands that change one are in ticket_change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cortex_cli import completion, editor, ticket_draft, tickets_file
from cortex_cli.context import App, api
from cortex_cli.failures import Failed
from cortex_cli.options import (
    Noun,
    finish,
    given,
    json_option,
    read_text,
    text_options,
    ticket_argument,
)
from cortex_cli.output import (
    ago,
    clean,
    clean_lines,
    names,
    past,
    print_fields,
    print_json,
    print_table,
)


@click.group("ticket", cls=Noun)
def command() -> None:
    """Work with tickets.

    A ticket is named by its key (CTX-12), its id, or its number in the project (12).
    """


_TYPE = click.option("--type", "kind", type=click.Choice(tickets_file.TYPES), help="Its type.")
_PRIORITY = click.option(
    "--priority", type=click.Choice(tickets_file.PRIORITIES), help="How much it matters."
)
_STATUS = click.option(
    "--status", metavar="COLUMN", shell_complete=completion.columns, help="The column it is in."
)


@command.command("list")
@_STATUS
@click.option("--label", shell_complete=completion.labels, help="Only with this label.")
@click.option("--assignee", help="Only theirs.")
@_TYPE
@_PRIORITY
@click.option("-q", "--query", help="Only with these words in title or body.")
@click.option("--archived", is_flag=True, help="Those in the archive instead.")
@click.option("--all", "every", is_flag=True, help="Archived ones as well.")
@json_option
@click.pass_obj
def list_tickets(
    app: App, /, kind: str | None, query: str | None, archived: bool, every: bool,
    as_json: bool, **filters: Any,
) -> None:  # fmt: skip
    """List the tickets of the project."""
    params = given(type=kind, q=query, **filters)
    if archived or every:
        params["archived"] = "any" if every else "true"
    project = app.project()
    tickets = list(app.client.paginate(api("projects", project, "tickets"), params, limit=500))
    if not tickets and filters["status"]:
        _require_column(app, project, filters["status"])
    if as_json:
        print_json(tickets)
        return
    headers = ("KEY", "STATUS", "TYPE", "PRIORITY", "ASSIGNEE", "LABELS", "CHANGED", "TITLE")
    print_table(headers, [_row(ticket) for ticket in tickets])


def _require_column(app: App, project: str, name: str) -> None:
    """Nothing in a column that does not exist is a slip of the user's, and no answer."""
    columns = [column["name"] for column in app.client.get(api("projects", project))["columns"]]
    if name not in columns:
        raise Failed(f"Project {project} has no column {name}: it has {', '.join(columns)}.")


def _row(ticket: dict[str, Any]) -> tuple[object, ...]:
    status = f"{ticket['status']} (archived)" if ticket["archived"] else ticket["status"]
    priority = "" if ticket["priority"] == "none" else ticket["priority"]
    return (
        ticket["key"], status, ticket["type"], priority, ticket["assignee"],
        names(ticket["labels"]), ago(ticket["updated_at"]), ticket["title"],
    )  # fmt: skip


@command.command("show")
@ticket_argument()
@click.option("--comments", is_flag=True, help="With its comments.")
@json_option
@click.pass_obj
def show(app: App, ticket: str | None, comments: bool, as_json: bool) -> None:
    """Show a ticket."""
    ref = app.ticket(ticket)
    found = app.client.get(api("tickets", ref))
    if as_json:
        print_json(found)
        return
    _print_ticket(found)
    if comments:
        for comment in app.client.paginate(api("tickets", ref, "comments")):
            author = clean(f"{comment['author']['name']} ({comment['type']})")
            click.echo(f"\n{click.style(author, bold=True)} {past(comment['created_at'])}")
            click.echo(clean_lines(comment["body"]))


def _print_ticket(ticket: dict[str, Any]) -> None:
    click.echo(click.style(clean(f"{ticket['key']}  {ticket['title']}"), bold=True))
    archived = " (archived)" if ticket["archived"] else ""
    print_fields(
        {
            "status": ticket["status"] + archived,
            "type": ticket["type"],
            "priority": ticket["priority"],
            "labels": names(ticket["labels"]),
            "assignee": ticket["assignee"],
            "due": ticket["due"],
            "depends on": names(ticket["depends_on"]),
            "references": names(ticket["references"]),
            "changed": past(ticket["updated_at"]),
            "revision": ticket["revision"],
        }
    )
    if ticket["body"].strip():
        click.echo(f"\n{clean_lines(ticket['body'].rstrip())}")


@command.command("create")
@click.argument("title", required=False)
@text_options("the body", "-b", "--body")
@click.option("-e", "--edit", "in_editor", is_flag=True, help="Write it in the editor.")
@_STATUS
@_TYPE
@_PRIORITY
@click.option(
    "-l", "--label", "labels", multiple=True, shell_complete=completion.labels,
    help="A label; repeat it for more.",
)  # fmt: skip
@click.option("--assignee", help="Who does it.")
@click.option("--due", metavar="YYYY-MM-DD", help="When it is due.")
@click.option("--reference", "references", multiple=True, help="A link or path; repeat it.")
@click.option(
    "--depends-on", multiple=True, metavar="TICKET", shell_complete=completion.tickets,
    help="A ticket that comes first; repeat it.",
)  # fmt: skip
@click.option("--position", type=click.IntRange(min=0), help="Its place in the column, from 0.")
@json_option
@click.pass_obj
def create(
    app: App, /, title: str | None, text: str | None, text_file: Path | None, in_editor: bool,
    kind: str | None, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Make a ticket and print its key."""
    body = read_text(text, text_file)
    fields = given(title=title, body=body, type=kind, **options)
    for name in ("labels", "references", "depends_on"):
        if name in fields:
            fields[name] = list(fields[name])
    draft = None
    if in_editor:
        draft, fields = _written(app, fields)
    elif not title:
        raise click.UsageError("Give a title, or --edit to write one.")
    ticket = _create(app, fields, draft)
    if not as_json:
        click.echo(clean(ticket["key"]))
    finish(ticket, as_json, f"{ticket['key']} is in {ticket['status']}.")


def _written(app: App, fields: dict[str, Any]) -> tuple[editor.Draft, dict[str, Any]]:
    """Let the user write the ticket. Raises Failed when nothing was written."""
    start = ticket_draft.begin({**ticket_draft.NEW, **fields})
    draft = editor.draft(start, "new", app.environ)
    content = draft.edit(app.environ)
    if content == start:
        draft.discard()
        raise Failed("Nothing was written: no ticket was made.")
    try:
        written = ticket_draft.written(content)
    except tickets_file.BadTicketFile as error:
        raise Failed(f"{error}; {draft.kept()}") from None
    return draft, {**fields, **written}


def _create(app: App, fields: dict[str, Any], draft: editor.Draft | None) -> dict[str, Any]:
    from cortex_cli import sdk
    from cortex_cli.output import say

    try:
        ticket = app.client.post(api("projects", app.project(), "tickets"), fields)
    except (sdk.CortexError, click.ClickException):
        if draft is not None:
            say(f"Nothing was made; {draft.kept()}")
        raise
    if draft is not None:
        draft.discard()
    return dict(ticket)


# Last: they add themselves to the group above.
from cortex_cli.commands import ticket_change, ticket_files  # noqa: E402

ticket_change.register(command)
ticket_files.register(command)
