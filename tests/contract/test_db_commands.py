"""`cortex db` shows the help of the server's own commands: the two say the same."""

import click
import pytest

from cortex_cli.commands.db import command as shown
from cortex_server.db_commands import db as served


def described(command):
    options = {
        (parameter.name, *sorted(parameter.opts)): (
            parameter.required,
            getattr(parameter, "is_flag", None),
            getattr(parameter, "help", None),
        )
        for parameter in command.params
    }
    return command.help, options


def test_the_same_commands_are_there():
    assert isinstance(shown, click.Group)
    assert shown.commands.keys() == served.commands.keys()
    assert shown.help == served.help


@pytest.mark.parametrize("name", served.commands)
def test_each_command_has_the_same_help_and_options(name):
    assert described(shown.commands[name]) == described(served.commands[name])
