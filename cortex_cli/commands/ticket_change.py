"""`cortex ticket edit, move, archive, restore, delete, label`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cortex_cli import completion, editor, sdk, ticket_draft, tickets_file
from cortex_cli.context import App, api
from cortex_cli.failures import Failed
from cortex_cli.options import (
    Command,
    Noun,
    clearing,
    confirm,
    finish,
    given,
    json_option,
    read_text,
    revision_option,
    text_options,
    ticket_argument,
    yes_option,
)
from cortex_cli.output import say


def register(group: click.Group) -> None:
    """Add the commands of this file to `cortex ticket`."""
    for command in (edit, move, archive, restore, label, delete):
        group.add_command(command)


@click.command("edit", cls=Command)
@ticket_argument()
@click.option("--title", help="Its title.")
@text_options("the body", "-b", "--body")
@click.option("--type", "kind", type=click.Choice(tickets_file.TYPES), help="Its type.")
@click.option("--priority", type=click.Choice(tickets_file.PRIORITIES), help="How much it matters.")
@click.option(
    "-l", "--label", "labels", multiple=True, shell_complete=completion.labels,
    help="All its labels from now on; repeat it, '' for none.",
)  # fmt: skip
@click.option("--assignee", help="Who does it; '' for nobody.")
@click.option("--due", metavar="YYYY-MM-DD", help="When it is due; '' for never.")
@click.option("--reference", "references", multiple=True, help="All its references; '' for none.")
@click.option("--depends-on", multiple=True, metavar="TICKET", help="All of them; '' for none.")
@revision_option
@json_option
@click.pass_obj
def edit(
    app: App, /, ticket: str | None, text: str | None, text_file: Path | None, title: str | None,
    kind: str | None, priority: str | None, assignee: str | None, due: str | None,
    revision: int | None, as_json: bool, **lists: tuple[str, ...],
) -> None:  # fmt: skip
    """Change a ticket: by options, or without any in the editor.

    The editor opens the ticket as a file; saving it unchanged changes nothing. Where somebody
    else changed the ticket meanwhile, nothing is overwritten and your draft is kept.
    """
    ref = app.ticket(ticket)
    fields = given(title=title, body=read_text(text, text_file), type=kind, priority=priority)
    fields |= clearing(assignee=assignee, due=due)
    fields |= {name: [v for v in values if v] for name, values in lists.items() if values}
    if not fields:
        changed = _edit_in_editor(app, ref, revision)
        if changed is None:
            return
    else:
        changed = app.client.patch(api("tickets", ref), {**fields, **given(revision=revision)})
    finish(changed, as_json, f"{changed['key']} is changed.")


def _edit_in_editor(app: App, ref: str, revision: int | None) -> dict[str, Any] | None:
    """Return the changed ticket; None when nothing was changed."""
    before = app.client.get(api("tickets", ref))
    start = ticket_draft.begin(before)
    draft = editor.draft(start, before["key"], app.environ)
    content = draft.edit(app.environ)
    try:
        fields = ticket_draft.differences(start, content)
    except tickets_file.BadTicketFile as error:
        raise Failed(f"{error}; {draft.kept()}") from None
    if not fields:
        draft.discard()
        say("Nothing was changed.")
        return None
    fields["revision"] = revision or before["revision"]
    try:
        changed = app.client.patch(api("tickets", before["key"]), fields)
    except sdk.CortexError:
        say(f"{before['key']} was not changed; {draft.kept()}")
        raise
    draft.discard()
    return dict(changed)


@click.command("move", cls=Command)
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="[TICKET]... COLUMN",
    shell_complete=completion.ticket_then_column,
)
@click.option(
    "--position", type=click.IntRange(min=0), help="Its place there, from 0; else the end."
)
@revision_option
@json_option
@click.pass_obj
def move(
    app: App, words: tuple[str, ...], position: int | None, revision: int | None, as_json: bool
) -> None:  # fmt: skip
    """Move one ticket or several to a column.

    Several are of one project, and all of them are moved or none.
    """
    if len(words) == 1 and not app.ticket_is_set:
        raise click.UsageError("Name a ticket and a column: cortex ticket move CTX-1 review")
    if len(words) > 2:
        if revision is not None:
            raise click.UsageError("--revision is of one ticket; several were named.")
        _move_several(app, words[:-1], words[-1], position, as_json)
        return
    ref = app.ticket(words[0] if len(words) == 2 else None)
    fields = {"status": words[-1], **given(position=position, revision=revision)}
    ticket = app.client.post(api("tickets", ref, "move"), fields)
    finish(ticket, as_json, f"{ticket['key']} is in {ticket['status']}.")


def _move_several(
    app: App, named: tuple[str, ...], column: str, position: int | None, as_json: bool
) -> None:
    refs = [app.ticket(name) for name in named]
    project = app.client.get(api("tickets", refs[0]))["project"]
    places = [None if position is None else position + index for index in range(len(refs))]
    changes = [
        {"ticket": ref, "status": column, "position": place}
        for ref, place in zip(refs, places, strict=True)
    ]
    moved = app.client.patch(api("projects", project, "tickets"), {"changes": changes})["items"]
    finish(moved, as_json, f"{', '.join(ticket['key'] for ticket in moved)} are in {column}.")


def _set_archived(
    app: App, ref: str | None, archived: bool, revision: int | None
) -> dict[str, Any]:
    fields = {"archived": archived, **given(revision=revision)}
    return dict(app.client.patch(api("tickets", app.ticket(ref)), fields))


@click.command("archive", cls=Command)
@ticket_argument()
@revision_option
@json_option
@click.pass_obj
def archive(app: App, ticket: str | None, revision: int | None, as_json: bool) -> None:
    """Take a ticket off the board; `restore` brings it back."""
    changed = _set_archived(app, ticket, True, revision)
    finish(changed, as_json, f"{changed['key']} is archived: `cortex ticket restore` undoes it.")


@click.command("restore", cls=Command)
@ticket_argument()
@revision_option
@json_option
@click.pass_obj
def restore(app: App, ticket: str | None, revision: int | None, as_json: bool) -> None:
    """Bring a ticket back from the archive."""
    changed = _set_archived(app, ticket, False, revision)
    finish(changed, as_json, f"{changed['key']} is in {changed['status']}.")


@click.command("delete", cls=Command)
@click.argument("ticket", shell_complete=completion.tickets)
@yes_option
@revision_option
@click.pass_obj
def delete(app: App, ticket: str, yes: bool, revision: int | None) -> None:
    """Delete a ticket with its comments, sessions and reviews. `archive` can be undone."""
    path = api("tickets", app.ticket(ticket))
    key = app.client.get(path)["key"]
    confirm(key, f"deletes {key} with its comments, sessions and reviews", yes)
    app.client.delete(path, params={"revision": revision})
    finish(None, False, f"{key} is deleted.")


@click.group("label", cls=Noun)
def label() -> None:
    """Put labels on a ticket and take them off."""


@label.command("add")
@click.argument("ticket", shell_complete=completion.tickets)
@click.argument("labels", nargs=-1, required=True, shell_complete=completion.labels)
@json_option
@click.pass_obj
def add_label(app: App, ticket: str, labels: tuple[str, ...], as_json: bool) -> None:
    """Put labels on a ticket; one that is new is made."""
    ref = app.ticket(ticket)
    for name in labels:
        app.client.post(api("tickets", ref, "labels"), {"label": name})
    _finish_labels(app, ref, as_json)


@label.command("remove")
@click.argument("ticket", shell_complete=completion.tickets)
@click.argument("labels", nargs=-1, required=True, shell_complete=completion.labels)
@json_option
@click.pass_obj
def remove_label(app: App, ticket: str, labels: tuple[str, ...], as_json: bool) -> None:
    """Take labels off a ticket."""
    ref = app.ticket(ticket)
    for name in labels:
        app.client.delete(api("tickets", ref, "labels", name))
    _finish_labels(app, ref, as_json)


def _finish_labels(app: App, ref: str, as_json: bool) -> None:
    ticket = app.client.get(api("tickets", ref))
    labels = ", ".join(ticket["labels"]) or "no labels"
    finish(ticket, as_json, f"{ticket['key']} has {labels}.")
