"""`cortex review`: ask for a look at work, and answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cortex_cli import completion
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
from cortex_cli.output import ago, clean, print_fields, print_json, print_table

_STATES = ("requested", "approved", "changes_requested", "dismissed")
_NOTE = click.option("-m", "--note", help="A word to whoever asked.")


@click.group("review", cls=Noun)
def command() -> None:
    """Ask for reviews and answer them."""


@command.command("list")
@ticket_argument()
@click.option("--state", type=click.Choice(_STATES), help="Only these.")
@json_option
@click.pass_obj
def list_reviews(app: App, ticket: str | None, state: str | None, as_json: bool) -> None:
    """List the reviews of a ticket, or else of the project."""
    if ticket or app.ticket_is_set:
        found = app.client.paginate(api("tickets", app.ticket(ticket), "reviews"))
        reviews = [review for review in found if state in (None, review["state"])]
    else:
        query = {"project": app.project(), "state": state}
        reviews = list(app.client.paginate(api("reviews"), query))
    if as_json:
        print_json(reviews)
        return
    print_table(
        ("ID", "TICKET", "STATE", "AGE", "BY", "SUMMARY"),
        [_row(review) for review in reviews],
    )


def _row(review: dict[str, Any]) -> tuple[object, ...]:
    by = review["requested_by"]["name"]
    age = ago(review["created_at"])
    return review["id"], review["ticket"], review["state"], age, by, review["summary"]


@command.command("show")
@click.argument("review_id", metavar="ID")
@json_option
@click.pass_obj
def show(app: App, review_id: str, as_json: bool) -> None:
    """Show a review."""
    review = app.client.get(api("reviews", review_id))
    if as_json:
        print_json(review)
        return
    shown = ("ticket", "state", "summary", "repo_path", "branch", "commit", "note", "revision")
    people = {
        "requested by": review["requested_by"]["name"],
        "resolved by": (review["resolved_by"] or {}).get("name"),
    }
    print_fields({name: review[name] for name in shown} | people)


@command.command("request")
@click.argument("words", nargs=-1, metavar="[TICKET] [SUMMARY]", shell_complete=completion.tickets)
@text_options("the summary", "-m", "--summary")
@click.option("--branch", help="The branch to look at.")
@click.option("--commit", help="The commit to look at.")
@click.option("--repo", metavar="PATH", help="The repository; the project's when absent.")
@json_option
@click.pass_obj
def request(
    app: App,
    words: tuple[str, ...],
    text: str | None,
    text_file: Path | None,
    branch: str | None,
    commit: str | None,
    repo: str | None,
    as_json: bool,
) -> None:
    """Ask for a review. TICKET defaults to CORTEX_TICKET; SUMMARY may be -."""
    ticket, summary = subject_and_text(app.ticket_is_set, words, text, text_file)
    if summary is None:
        raise click.UsageError("Say what is to be looked at: SUMMARY, --summary or -F FILE.")
    if branch and commit:
        raise click.UsageError("Give --branch or --commit, not both.")
    fields = given(summary=summary, repo_path=repo, branch=branch, commit=commit)
    review = app.client.post(api("tickets", app.ticket(ticket), "reviews"), fields)
    if not as_json:
        click.echo(clean(review["id"]))
    finish(review, as_json, f"Asked for a review of {review['ticket']}.")


@command.command("approve")
@click.argument("review_id", metavar="ID")
@_NOTE
@revision_option
@json_option
@click.pass_obj
def approve(app: App, /, review_id: str, **options: Any) -> None:
    """Approve it. ID may be the ticket, when one review of it is open."""
    _resolve(app, review_id, "approved", **options)


@command.command("changes")
@click.argument("review_id", metavar="ID")
@_NOTE
@revision_option
@json_option
@click.pass_obj
def changes(app: App, /, review_id: str, **options: Any) -> None:
    """Ask for changes. ID may be the ticket, when one review of it is open."""
    _resolve(app, review_id, "changes_requested", **options)


@command.command("dismiss")
@click.argument("review_id", metavar="ID")
@_NOTE
@revision_option
@json_option
@click.pass_obj
def dismiss(app: App, /, review_id: str, **options: Any) -> None:
    """Withdraw it. ID may be the ticket, when one review of it is open."""
    _resolve(app, review_id, "dismissed", **options)


def _resolve(
    app: App, given_id: str, state: str, note: str | None, revision: int | None, as_json: bool
) -> None:
    fields = {"state": state, **given(note=note, revision=revision)}
    review = app.client.patch(api("reviews", _open_review(app, given_id)), fields)
    finish(review, as_json, f"The review of {review['ticket']} is now {review['state']}.")


def _open_review(app: App, given_id: str) -> str:
    """Return the id of the review that is meant.

    Raises UsageError when a ticket is named that has no open review, or several.
    """
    if given_id.count("-") == 4 and len(given_id) == 36:
        return given_id
    ticket = app.ticket(given_id)
    reviews = list(app.client.paginate(api("tickets", ticket, "reviews")))
    waiting = [review["id"] for review in reviews if review["state"] == "requested"]
    if len(waiting) == 1:
        return str(waiting[0])
    count = "no open review" if not waiting else f"{len(waiting)} open reviews"
    raise click.UsageError(f"{ticket} has {count}. See `cortex review list {ticket}`.")
