"""`cortex comment`: what people and agents say about a ticket."""

from __future__ import annotations

from pathlib import Path

import click

from cortex_cli import completion
from cortex_cli.context import App, api
from cortex_cli.options import (
    Noun,
    confirm,
    finish,
    given,
    json_option,
    read_text,
    revision_option,
    subject_and_text,
    text_options,
    ticket_argument,
    yes_option,
)
from cortex_cli.output import ago, clean, clean_lines, past, print_json, print_table

_TYPES = ("comment", "blocker", "done", "review_requested")
_TYPE = click.option("--type", "kind", type=click.Choice(_TYPES), help="What kind it is.")


@click.group("comment", cls=Noun)
def command() -> None:
    """Comment on tickets."""


@command.command("list")
@ticket_argument()
@json_option
@click.pass_obj
def list_comments(app: App, ticket: str | None, as_json: bool) -> None:
    """List the comments on a ticket."""
    comments = list(app.client.paginate(api("tickets", app.ticket(ticket), "comments")))
    if as_json:
        print_json(comments)
        return
    print_table(
        ("ID", "AGE", "AUTHOR", "TYPE", "TEXT"),
        [
            (c["id"], ago(c["created_at"]), c["author"]["name"], c["type"], c["body"])
            for c in comments
        ],
    )


@command.command("show")
@click.argument("comment_id", metavar="ID")
@json_option
@click.pass_obj
def show(app: App, comment_id: str, as_json: bool) -> None:
    """Show a comment."""
    comment = app.client.get(api("comments", comment_id))
    if as_json:
        print_json(comment)
        return
    click.echo(
        clean(f"{comment['ticket']} {comment['type']}, {comment['author']['name']}, ")
        + f"{past(comment['created_at'])}\n"
    )
    click.echo(clean_lines(comment["body"]))


@command.command("add")
@click.argument("words", nargs=-1, metavar="[TICKET] [TEXT]", shell_complete=completion.tickets)
@text_options("the comment", "--body")
@_TYPE
@json_option
@click.pass_obj
def add(
    app: App,
    words: tuple[str, ...],
    text: str | None,
    text_file: Path | None,
    kind: str | None,
    as_json: bool,
) -> None:
    """Comment on a ticket. TEXT may be - for standard input; TICKET defaults to CORTEX_TICKET."""
    ticket, body = subject_and_text(app.ticket_is_set, words, text, text_file)
    if body is None:
        raise click.UsageError("Give the comment's text, -F FILE, or - for standard input.")
    path = api("tickets", app.ticket(ticket), "comments")
    comment = app.client.post(path, {"body": body, **given(type=kind)})
    if not as_json:
        click.echo(clean(comment["id"]))
    finish(comment, as_json, f"Commented on {comment['ticket']}.")


@command.command("edit")
@click.argument("comment_id", metavar="ID")
@text_options("the comment", "--body")
@_TYPE
@revision_option
@json_option
@click.pass_obj
def edit(
    app: App,
    comment_id: str,
    text: str | None,
    text_file: Path | None,
    kind: str | None,
    revision: int | None,
    as_json: bool,
) -> None:
    """Change a comment."""
    fields = given(body=read_text(text, text_file), type=kind)
    if not fields:
        raise click.UsageError("Say what to change: --body, -F, --type.")
    comment = app.client.patch(api("comments", comment_id), {**fields, **given(revision=revision)})
    finish(comment, as_json, f"The comment on {comment['ticket']} is changed.")


@command.command("delete")
@click.argument("comment_id", metavar="ID")
@yes_option
@revision_option
@click.pass_obj
def delete(app: App, comment_id: str, yes: bool, revision: int | None) -> None:
    """Delete a comment."""
    comment = app.client.get(api("comments", comment_id))
    confirm(comment["ticket"], f"deletes a comment on {comment['ticket']}", yes)
    app.client.delete(api("comments", comment_id), params={"revision": revision})
    finish(None, False, f"The comment on {comment['ticket']} is deleted.")
