"""The `cortex` command: which commands there are, and what their failures become.

Commands are loaded when they are used. So `cortex --help` imports click and this file only;
the help lines below are checked against the commands' own by a test.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from cortex_cli import failures
from cortex_cli.output import no_colour

# Section, then command: the module under cortex_cli.commands and the first line of its help.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "See": {
        "up": ("up", "Start the server unless it runs, then show the board."),
        "board": ("board", "Show the live board."),
        "dashboard": ("dashboard", "Show all projects at a glance, live."),
        "watch": ("watch", "Print events as they happen."),
        "open": ("open", "Open the board in a browser."),
        "status": ("status", "Show the server, its projects and the newest event."),
    },
    "Work": {
        "ticket": ("ticket", "Work with tickets."),
        "comment": ("comment", "Comment on tickets."),
        "review": ("review", "Ask for reviews and answer them."),
        "session": ("session", "Report what an agent is doing."),
        "inbox": ("inbox", "List what waits for a person: questions, turns, reviews, failures."),
    },
    "Run agents": {
        "runner": ("runner", "Take attempts from the board and run agents in worktrees."),
        "attempt": ("attempt", "Run agents on tickets."),
        "batch": ("batch", "Run several tickets together."),
        "agent": ("agent", "See the agents that runners offer, and the runners."),
        "profile": ("profile", "Work with profiles: named sets of options for agents."),
        "worktree": ("worktree", "See and clean up the worktrees of attempts."),
        "instance": ("instance", "See the OpenCode servers that runners keep."),
        "trigger": ("trigger", "Start agents, batches or calls when something happens."),
        "memory": ("memory", "Keep what a project's agents are to know, in Markdown."),
    },
    "Organise": {
        "project": ("project", "Work with projects, one board each."),
        "team": ("team", "Work with teams, which own projects."),
        "label": ("label", "Work with the labels of a project."),
        "settings": ("settings", "Read and change settings."),
        "config": ("config", "See and check the board's part of the configuration file."),
        "token": ("token", "Make and revoke access tokens."),
    },
    "Serve": {
        "serve": ("serve", "Run the server in the foreground."),
        "db": ("db", "Look after the database."),
        "down": ("down", "Stop the server that `cortex up` started."),
        "completion": ("completion", "Print the completion script of a shell."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """A group that imports a command only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"cortex_cli.commands.{COMMANDS[cmd_name][0]}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise failures.unknown_command(name, COMMANDS, ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(len(name) for name in COMMANDS)
        for section, entries in SECTIONS.items():
            with formatter.section(section):
                rows = [(name.ljust(widest), line) for name, (_, line) in entries.items()]
                formatter.write_dl(rows)

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        # Only the options: Group's own completion would import every command.
        return found + click.Command.shell_complete(self, ctx, incomplete)


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"cortex {version('cortex-board')}")
    except PackageNotFoundError:
        click.echo("cortex (not installed)")
    ctx.exit()


def _complete_project(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[click.shell_completion.CompletionItem]:
    from cortex_cli.completion import projects

    return projects(ctx, param, incomplete)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-p",
    "--project",
    metavar="KEY",
    shell_complete=_complete_project,
    help="The project; else CORTEX_PROJECT, else that of this directory, else the only one.",
)
@click.option(
    "--url",
    metavar="URL",
    help="The server; else CORTEX_URL, else http://127.0.0.1, port CORTEX_PORT or 4747.",
)
@click.option("--no-color", is_flag=True, help="No colours; so does NO_COLOR.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context, project: str | None, url: str | None, no_color: bool) -> None:
    """A live board for people and AI coding agents.

    Begin with `cortex up`, or with `cortex up --demo`. Data goes to standard output, messages
    to standard error. Exit codes: 0 done, 1 refused or failed, 2 usage, 3 no server, 4 not
    allowed, 5 not found, 6 conflict, 130 interrupted.
    """
    from cortex_cli.context import App  # not for --help: it imports the SDK

    ctx.obj = App(url=url, project=project)
    ctx.call_on_close(ctx.obj.close)
    if no_color or no_colour():
        ctx.obj.refuse_colour(ctx)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the one of this process) and return its exit code."""
    return failures.guard(
        lambda: cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="cortex",
            complete_var="_CORTEX_COMPLETE",
            standalone_mode=False,
        )
    )


def main() -> NoReturn:
    """Run this process's command line and exit."""
    failures.open_what_is_closed()
    code = run()
    failures.close_quietly()
    sys.exit(code)
