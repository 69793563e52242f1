"""`cortex completion`: what a shell needs to complete `cortex`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash  eval "$(cortex completion bash)"   in ~/.bashrc
    zsh   eval "$(cortex completion zsh)"    in ~/.zshrc
    fish  cortex completion fish | source    in ~/.config/fish/config.fish
    """
    completion = get_completion_class(shell)
    assert completion is not None  # click has all three
    root = ctx.find_root().command
    click.echo(completion(root, {}, "cortex", "_CORTEX_COMPLETE").source())
