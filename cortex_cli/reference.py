"""Print docs/cli.md from the commands' own help: `python -m cortex_cli.reference`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from cortex_cli.main import SECTIONS, cli

_WIDTH = 88
_HEAD = """# The command line

Generated from the commands' own help by `python -m cortex_cli.reference`.
"""


def cli_md() -> str:
    """Return the reference of every command, in the order of `cortex --help`."""
    root = click.Context(
        cli, info_name="cortex", terminal_width=_WIDTH, help_option_names=["-h", "--help"]
    )
    pages = [_HEAD, _page(root, 2)]
    for section, names in SECTIONS.items():
        pages.append(f"## {section}\n")
        for name in names:
            command = cli.get_command(root, name)
            assert command is not None  # the table names only what there is
            pages += _pages(_child(root, name, command), 3)
    return "\n".join(pages)


def _pages(ctx: click.Context, level: int) -> Iterator[str]:
    yield _page(ctx, level)
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            command = ctx.command.get_command(ctx, name)
            assert command is not None
            yield from _pages(_child(ctx, name, command), level + 1)


def _page(ctx: click.Context, level: int) -> str:
    return f"{'#' * level} {ctx.command_path}\n\n```\n{ctx.get_help()}\n```\n"


def _child(parent: click.Context, name: str, command: click.Command) -> click.Context:
    return click.Context(command, parent=parent, info_name=name, terminal_width=_WIDTH)


if __name__ == "__main__":
    click.echo(cli_md(), nl=False)
