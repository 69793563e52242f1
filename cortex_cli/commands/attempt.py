"""`cortex attempt`: runs of agents on tickets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from cortex_cli import completion, following, sdk
from cortex_cli.context import App, api
from cortex_cli.failures import Missing
from cortex_cli.options import (
    Noun,
    finish,
    given,
    json_option,
    read_text,
    subject_and_text,
    text_options,
    ticket_argument,
)
from cortex_cli.output import (
    ago,
    clean,
    past,
    print_fields,
    print_json,
    print_table,
    say,
    to_json,
)

STATUSES = (
    "queued", "starting", "running", "waiting", "stopping",
    "succeeded", "failed", "cancelled", "lost",
)  # fmt: skip
FINAL = frozenset(STATUSES[5:])
_KINDS = ("text", "tool", "error", "system")
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBERED = re.compile(r"(.+)/([1-9][0-9]{0,8})")
_ATTEMPT = click.argument(
    "attempt", required=False, metavar="[ATTEMPT]", shell_complete=completion.attempts
)
_AT_WORK = click.argument(
    "attempt", required=False, metavar="[ATTEMPT]", shell_complete=completion.attempts_at_work
)
_FOLLOW = click.option("-f", "--follow", is_flag=True, help="Print its log until it ends.")


@click.group("attempt", cls=Noun)
def command() -> None:
    """Run agents on tickets.

    ATTEMPT is an attempt's id, a ticket for its newest one, or TICKET/2 for its second. It
    defaults to CORTEX_ATTEMPT, else to CORTEX_TICKET. What is stopped or spoken to is the newest
    one that has not ended.
    """


@command.command("list")
@ticket_argument()
@click.option("--active", is_flag=True, help="Only those that have not ended.")
@click.option("--status", metavar="STATUS", type=click.Choice(STATUSES),
              help=f"Only these: {', '.join(STATUSES)}.")  # fmt: skip
@click.option("--runner", metavar="NAME", help="Only those that this runner has or had.")
@click.option("--all", "everything", is_flag=True, help="Of all projects.")
@json_option
@click.pass_obj
def list_attempts(
    app: App, /, ticket: str | None, active: bool, everything: bool, as_json: bool, **query: Any
) -> None:
    """List the attempts on a ticket, or else those of the project."""
    if ticket and everything:
        raise click.UsageError("Name a ticket, or --all, not both.")
    if not everything:
        named = ticket or app.ticket_is_set
        query |= {"ticket": app.ticket(ticket)} if named else {"project": app.project()}
    query |= {"active": active or None}
    attempts = list(app.client.paginate(api("attempts"), query))
    if as_json:
        print_json(attempts)
        return
    print_table(
        ("ATTEMPT", "STATUS", "AGENT", "RUNNER", "AGE", "SUMMARY"),
        [
            (name_of(a), a["status"], a["agent"], a["runner"], ago(a["created_at"]), _more(a))
            for a in attempts
        ],
    )


@command.command("show")
@_ATTEMPT
@json_option
@click.pass_obj
def show(app: App, attempt: str | None, as_json: bool) -> None:
    """Show an attempt."""
    found = the_attempt(app, attempt)
    if as_json:
        print_json(found)
        return
    shown = (
        "id", "ticket", "number", "status", "stage", "progress", "reason", "exit_code", "agent",
        "profile", "prompt", "runner", "branch", "base", "worktree", "session", "batch",
        "retry_of", "compare_url",
    )  # fmt: skip
    git, pr = found["git"] or {}, found["pr"] or {}
    times = {"created_at": "asked for", "started_at": "started", "ended_at": "ended"}
    print_fields(
        {name: found[name] for name in shown}
        | {"not committed": git.get("changed"), "commits ahead": git.get("ahead")}
        | {"pull request": pr.get("url"), "its state": pr.get("state")}
        | {label: past(found[name]) for name, label in times.items() if found[name]}
        | {"by": found["started_by"]["name"]}
    )
    for todo in found["todos"]:
        mark = {"completed": "x", "in_progress": ">", "cancelled": "-"}.get(todo["status"], " ")
        click.echo(f"  [{mark}] {clean(todo['text'])}")


@command.command("start")
@ticket_argument()
@click.option("--agent", metavar="NAME", shell_complete=completion.agents,
              help="Who works; not needed where there is only one.")  # fmt: skip
@click.option("--profile", metavar="NAME", shell_complete=completion.profiles,
              help="With which options; it names the agent, too.")  # fmt: skip
@text_options("what to say beside the ticket", "-m", "--prompt")
@click.option("--base", metavar="REF", help="Begin here; the project's default branch when absent.")
@_FOLLOW
@json_option
@click.pass_obj
def start(
    app: App,
    ticket: str | None,
    agent: str | None,
    profile: str | None,
    text: str | None,
    text_file: Path | None,
    base: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Let an agent work on a ticket.

    A runner that offers the agent takes the attempt from the queue. With --follow it ends with
    the attempt: exit code 0 when that succeeded, else 1.
    """
    fields = given(
        agent=agent or agent_of(app, profile), profile=profile,
        prompt=read_text(text, text_file), base=base,
    )  # fmt: skip
    _told(app, app.client.post(api("tickets", app.ticket(ticket), "attempts"), fields),
          follow=follow, as_json=as_json)  # fmt: skip


@command.command("stop")
@_AT_WORK
@json_option
@click.pass_obj
def stop(app: App, attempt: str | None, as_json: bool) -> None:
    """End an attempt, with all of its processes.

    It is cancelled when they are dead; until then it is stopping.
    """
    found = the_attempt(app, attempt, at_work=True)
    stopped = app.client.post(api("attempts", found["id"], "stop"))
    finish(stopped, as_json, f"Attempt {name_of(stopped)} is {stopped['status']}.")


@command.command("retry")
@_ATTEMPT
@_FOLLOW
@json_option
@click.pass_obj
def retry(app: App, attempt: str | None, follow: bool, as_json: bool) -> None:
    """Try again what failed, was cancelled or is lost."""
    found = the_attempt(app, attempt)
    _told(app, app.client.post(api("attempts", found["id"], "retry")),
          follow=follow, as_json=as_json)  # fmt: skip


@command.command("log")
@_ATTEMPT
@click.option("-f", "--follow", is_flag=True, help="Go on until the attempt ends.")
@click.option("-n", "--last", metavar="N", type=click.IntRange(min=1),
              help="Only so many, the newest.")  # fmt: skip
@click.option("--kind", type=click.Choice(_KINDS), multiple=True, help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each entry.")
@click.pass_obj
def log(
    app: App,
    attempt: str | None,
    follow: bool,
    last: int | None,
    kind: tuple[str, ...],
    as_json: bool,
) -> None:
    """Print what an attempt did.

    With --follow it ends with the attempt: exit code 0 when that succeeded, else 1.
    """
    found = the_attempt(app, attempt)
    code = following.log(
        app.client, found, as_json=as_json, kinds=frozenset(kind), last=last, follow=follow
    )
    click.get_current_context().exit(code if follow else 0)


@command.command("wait")
@_AT_WORK
@json_option
@click.pass_obj
def wait(app: App, attempt: str | None, as_json: bool) -> None:
    """Wait until an attempt has ended.

    Exit code 0 when it succeeded, else 1.
    """
    ended = following.end_of(app.client, the_attempt(app, attempt))
    finish(ended, as_json, f"Attempt {name_of(ended)}: {doing(ended)}".rstrip(".") + ".")
    click.get_current_context().exit(0 if ended["status"] == "succeeded" else 1)


@command.command("git")
@_ATTEMPT
@json_option
@click.pass_obj
def git(app: App, attempt: str | None, as_json: bool) -> None:
    """Show the branch, commits and changed files of an attempt."""
    from cortex_cli.commands import attempt_git

    attempt_git.git(app, the_attempt(app, attempt), as_json)


@command.command("diff")
@_ATTEMPT
@click.option("--stat", is_flag=True, help="Only how much changed in which file.")
@click.option(
    "-o", "--output", "target", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Write it there as it is, for `git apply`; what is printed has no control characters.",
)  # fmt: skip
@json_option
@click.pass_obj
def diff(app: App, attempt: str | None, stat: bool, target: Path | None, as_json: bool) -> None:
    """Print what an attempt changed, committed or not.

    As its runner last saw it.
    """
    from cortex_cli.commands import attempt_git

    if stat + (target is not None) + as_json > 1:
        raise click.UsageError("Give one of --stat, --output and --json.")
    found = the_attempt(app, attempt)
    attempt_git.diff(app, found, stat=stat, target=target, as_json=as_json)


@command.command("say")
@click.argument("words", nargs=-1, metavar="[ATTEMPT] [TEXT]",
                shell_complete=completion.attempts_at_work)  # fmt: skip
@text_options("the text", "-m", "--text")
@json_option
@click.pass_obj
def say_text(
    app: App, words: tuple[str, ...], text: str | None, text_file: Path | None, as_json: bool
) -> None:
    """Say something to the agent while it works. TEXT may be - for standard input."""
    is_set = app.ticket_is_set or bool(app.environ.get("CORTEX_ATTEMPT"))
    attempt, said = subject_and_text(is_set, words, text, text_file)
    if said is None:
        raise click.UsageError("Give the text, -F FILE, or - for standard input.")
    found = the_attempt(app, attempt, at_work=True)
    if found["session"] is None:
        raise click.ClickException(f"Attempt {name_of(found)} has no conversation yet.")
    answer = app.client.post(api("sessions", found["session"], "prompt"), {"text": said})
    sent = f"Sent to the runner of {found['agent']} on {found['ticket']}"
    finish(answer, as_json, f"{sent}; the attempt's log says if the agent does not take it.")


def the_attempt(app: App, named: str | None, *, at_work: bool = False) -> dict[str, Any]:
    """Return the attempt that is meant: by id, by TICKET/NUMBER, or the newest of a ticket.

    at_work: rather the newest that has not ended. Raises UsageError when none is named, Missing
    when there is none.
    """
    wanted = named or app.environ.get("CORTEX_ATTEMPT") or app.environ.get("CORTEX_TICKET")
    if not wanted:
        raise click.UsageError("Name an attempt or a ticket, or set CORTEX_ATTEMPT.")
    if _ID.fullmatch(wanted):
        found: dict[str, Any] = app.client.get(api("attempts", wanted))
        return found
    numbered = _NUMBERED.fullmatch(wanted)
    ticket = app.ticket(numbered[1] if numbered else wanted)
    attempts = list(app.client.paginate(api("tickets", ticket, "attempts")))
    if numbered:
        attempts = [a for a in attempts if a["number"] == int(numbered[2])]
    elif at_work:
        attempts = [a for a in attempts if a["status"] not in FINAL] or attempts
    if not attempts:
        which = f"no attempt {numbered[2]}" if numbered else "no attempt yet"
        raise Missing(f"{ticket} has {which}. See `cortex attempt list {ticket}`.")
    return max(attempts, key=lambda attempt: int(attempt["number"]))


def name_of(attempt: dict[str, Any]) -> str:
    """Return how people call an attempt: TICKET/NUMBER."""
    return f"{attempt['ticket']}/{attempt['number']}"


def doing(attempt: dict[str, Any]) -> str:
    """Return its status, and the stage or the reason in a few words."""
    more = _more(attempt)
    return f"{attempt['status']}: {more}" if more else str(attempt["status"])


def agent_of(app: App, profile: str | None) -> str:
    """Return the agent of a profile, or the only one there is. Raises UsageError."""
    if profile is not None:
        found = app.client.get(api("profiles", profile))
        return str(found["agent"])
    known = list(app.client.paginate(api("agents")))
    agents = [agent["name"] for agent in known if agent["runners"]] or [a["name"] for a in known]
    if len(agents) == 1:
        return str(agents[0])
    if not agents:
        raise click.UsageError(
            "No runner has offered an agent yet. Start one with `cortex runner --agent NAME`."
        )
    raise click.UsageError(f"Say which agent: --agent with one of {', '.join(agents)}.")


def say_who_is_missing(app: App, agent: str, project: str) -> None:
    """Say so when no runner that is there takes up what was just put into the queue."""
    try:
        runners = list(app.client.paginate(api("runners")))
    except sdk.CortexError:
        return  # it is queued all the same
    for runner in runners:
        serves = runner["projects"] is None or project in runner["projects"]
        if runner["status"] == "online" and serves and agent in runner["agents"]:
            return
    say(f"No runner that is online offers {agent} to {project}; it waits until one does.")


def _told(app: App, made: dict[str, Any], *, follow: bool, as_json: bool) -> None:
    """Tell of an attempt that was just put into the queue, and follow it where that is wanted."""
    if as_json and follow:
        click.echo(to_json(made))  # a line, as each entry of the log is
    else:
        if not as_json:
            click.echo(clean(made["id"]))
        finish(made, as_json, f"Attempt {name_of(made)} is {made['status']}.")
    if made["status"] == "queued":
        say_who_is_missing(app, made["agent"], made["project"])
    if follow:
        click.get_current_context().exit(following.log(app.client, made, as_json=as_json))


def _more(attempt: dict[str, Any]) -> str:
    """What it is at, or why it ended so."""
    if attempt["status"] in FINAL:
        return str(attempt["reason"] or "")
    return ": ".join(filter(None, (attempt["stage"], attempt["progress"])))
