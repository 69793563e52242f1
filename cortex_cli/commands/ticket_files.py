"""`cortex ticket import` and `cortex ticket export`: tickets as Markdown files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from cortex_cli import completion, sdk, tickets_tree
from cortex_cli.context import App, api
from cortex_cli.failures import Failed
from cortex_cli.options import Command, json_option
from cortex_cli.output import clean, print_json, say
from cortex_cli.tickets_file import BadTicketFile, TicketFile

# `tickets.3.title`, `tickets[3].title`, `/tickets/3/title`
_FIELD = re.compile(r"tickets\W+([0-9]+)(?:\W+(\w+))?")


def register(group: click.Group) -> None:
    """Add the commands of this file to `cortex ticket`."""
    for command in (import_files, export_files):
        group.add_command(command)


@click.command("import", cls=Command)
@click.argument(
    "paths", nargs=-1, required=True, metavar="FILE|DIR...",
    type=click.Path(exists=True, path_type=Path),
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Read and check the files, and change nothing.")
@json_option
@click.pass_obj
def import_files(app: App, paths: tuple[Path, ...], dry_run: bool, as_json: bool) -> None:
    """Make or change tickets from Markdown files: all of them, or none.

    A file may begin with YAML front matter: id, title, type, tags, priority, assignee, due,
    references, archived, created, updated. A key that is absent leaves the ticket as it is. The
    innermost directory with the name of a column gives the status. Without a title it is the
    first heading, else the file's name.

    A file is the same ticket again by its id. One without an id gets one that depends on the
    project's key and the file's path inside its git work tree (elsewhere: its absolute path);
    give a file that moves an id of its own.
    """
    project = app.client.get(api("projects", app.project()))
    sources = list(tickets_tree.find(paths))
    if not sources:
        raise Failed("There are no Markdown files there (.md, .markdown).")
    read = _read_all(sources)
    tickets = [_ticket(source, file, project) for source, file in read]
    _refuse_twins(sources, tickets)
    if dry_run:
        _print_plan(sources, tickets, as_json)
        return
    try:
        result = app.client.post(
            api("projects", project["key"], "tickets", "import"), {"tickets": tickets}
        )
    except sdk.Invalid as error:
        raise _located(error, read) from None
    _print_result(result, as_json)


def _read_all(sources: list[tickets_tree.Source]) -> list[tuple[tickets_tree.Source, TicketFile]]:
    """Raises Failed, which names every file that cannot be a ticket, and the line."""
    read, refused = [], []
    for source in sources:
        try:
            file = source.read()
        except BadTicketFile as error:
            refused.append(f"{source.path}:{error.line}: {error.reason}")
            continue
        for key in file.unknown:
            say(f"{source.path}: the key {key} is not known and left out")
        read.append((source, file))
    if refused:
        raise Failed("\n".join([*refused, "Nothing was imported."]))
    return read


def _ticket(
    source: tickets_tree.Source, file: TicketFile, project: dict[str, Any]
) -> dict[str, Any]:
    status = source.status([column["name"] for column in project["columns"]])
    identity = file.fields.get("id") or source.identity(project["key"])
    placed = {"status": status} if status else {}
    return {**file.fields, **placed, "id": identity}


def _refuse_twins(sources: list[tickets_tree.Source], tickets: list[dict[str, Any]]) -> None:
    first: dict[str, Path] = {}
    for source, ticket in zip(sources, tickets, strict=True):
        other = first.setdefault(ticket["id"], source.path)
        if other is not source.path:
            raise Failed(f"{source.path} has the same id as {other}. Nothing was imported.")


def _located(error: sdk.Invalid, read: list[tuple[tickets_tree.Source, TicketFile]]) -> Failed:
    """Return the server's refusal in terms of files and lines."""
    rows = error.body.get("errors")
    told = []
    for row in rows if isinstance(rows, list) else []:
        found = _FIELD.search(str(row.get("field")))
        if found is None or int(found[1]) >= len(read):
            told.append(f"{row.get('field')}: {row.get('message')}")
            continue
        source, file = read[int(found[1])]
        told.append(f"{source.path}:{file.lines.get(found[2], 1)}: {row.get('message')}")
    return Failed("\n".join([*(told or [str(error)]), "Nothing was imported."]))


def _print_plan(
    sources: list[tickets_tree.Source], tickets: list[dict[str, Any]], as_json: bool
) -> None:
    if as_json:
        print_json(tickets)
        return
    for source, ticket in zip(sources, tickets, strict=True):
        status = ticket.get("status", "-")
        click.echo(clean(f"{source.path}  {status}  {ticket['title']}"))
    say(f"{len(tickets)} files can be imported. Nothing was changed.")


def _print_result(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for outcome in ("created", "updated"):
        for key in result[outcome]:
            click.echo(f"{outcome} {clean(key)}")
    counts = [
        f"{len(result[outcome])} {outcome}" for outcome in ("created", "updated", "unchanged")
    ]
    say(f"{', '.join(counts)}.")


@click.command("export", cls=Command)
@click.argument("keys", nargs=-1, metavar="[TICKET]...", shell_complete=completion.tickets)
@click.option(
    "--to", "directory", type=click.Path(file_okay=False, path_type=Path), default=Path("tickets"),
    show_default=True, help="Where to.",
)  # fmt: skip
@click.pass_obj
def export_files(app: App, keys: tuple[str, ...], directory: Path) -> None:
    """Write tickets as Markdown files, and print their paths.

    The paths are {status}/{key}-{slug}.md. Without a TICKET it writes all of the project's,
    archived ones too. Importing the files again changes nothing; exporting again gives the same
    bytes. Left out: comments, sessions, reviews, dependencies and the order of cards.
    """
    for ticket in _chosen(app, keys):
        try:
            path = tickets_tree.write(directory, ticket)
        except (OSError, ValueError) as error:
            raise Failed(f"{ticket['key']} cannot be written: {error}.") from None
        click.echo(clean(path))


def _chosen(app: App, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    if keys:
        return [app.client.get(api("tickets", app.ticket(key))) for key in keys]
    query = {"archived": "any"}
    tickets = app.client.paginate(api("projects", app.project(), "tickets"), query, limit=500)
    return sorted(tickets, key=lambda ticket: int(ticket["number"]))
