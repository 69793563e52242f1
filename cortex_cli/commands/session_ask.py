"""`cortex session ask` and `answer`: an agent's question to a person, from its shell."""

from __future__ import annotations

import contextlib
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import click

from cortex_cli import sdk
from cortex_cli.context import App, api
from cortex_cli.following import patiently
from cortex_cli.output import clean, clean_lines, print_json, say
from cortex_cli.tail import tell_loss


def ask(
    app: App,
    session: str,
    question: str,
    *,
    options: tuple[str, ...],
    detail: str,
    multiple: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Ask, and print the answer when it has come; without `wait`, print the question's id.

    A question whose asker is interrupted is withdrawn: nobody would read the answer.
    """
    fields = {
        "kind": "question", "title": question, "detail": detail, "multiple": multiple,
        "free_text": not options, "external_id": str(uuid.uuid4()),
        "options": [{"id": option, "label": option} for option in options],
    }  # fmt: skip
    with _terminated_is_interrupted():
        asked = app.client.post(api("sessions", session, "permissions"), fields)
        if not wait:
            print_json(asked) if as_json else click.echo(clean(asked["id"]))
            return
        try:
            say(f"Asked on {asked['ticket']}; waiting for an answer.")
            found = _answered(app.client, asked)
        except KeyboardInterrupt:
            with contextlib.suppress(sdk.CortexError):
                app.client.post(api("permissions", asked["id"], "withdraw"))
            raise
    _tell(found, as_json)


def answer(app: App, question: str, *, wait: bool, as_json: bool) -> None:
    """Print the answer to a question that was asked without waiting."""
    found = app.client.get(api("permissions", question))
    if wait and found["state"] == "open":
        found = _answered(app.client, found)
    _tell(found, as_json)


def _tell(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        for choice in found["choices"] or ():
            click.echo(clean(choice))
        if found["text"] is not None:
            click.echo(clean_lines(found["text"]))
        if found["state"] != "answered":
            say(f"The question on {found['ticket']} is {found['state']}.")
    click.get_current_context().exit(0 if found["state"] == "answered" else 1)


@contextlib.contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """Let SIGTERM, with which an agent's shell ends what takes too long, end it like Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _answered(client: sdk.CortexClient, asked: dict[str, Any]) -> dict[str, Any]:
    """Wait until the question is no longer open and return it."""

    def look() -> dict[str, Any]:
        found: dict[str, Any] = client.get(api("permissions", asked["id"]))
        return found

    stream = client.events(
        asked["project"], types="permission.replied", ticket=asked["ticket"], snapshot=False
    )
    with stream:
        for value in stream:
            if isinstance(value, sdk.Lost):
                if value.retry_in is None:
                    raise value.error
                tell_loss(value)
            elif isinstance(value, sdk.Connected | sdk.Reset | sdk.Event):
                # Asked for at each connection: it may have been answered in between.
                found = patiently(look)
                if found["state"] != "open":
                    return found
    raise sdk.StreamError("The server ended the stream for good.")
