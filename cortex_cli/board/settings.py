"""What the user set in the configuration file, table `[board]`.

The first frame waits for this: without a file nothing is parsed, and nothing imported for it.
"""

from collections.abc import Mapping

from cortex_cli import paths
from cortex_cli.board.value import Value

Changes = tuple[tuple[str, str, tuple[str, ...]], ...]


class Settings(Value):
    """bell, notify: sound, and send OSC 9, when an agent starts to need a person.

    mouse, ascii: how the board begins. sort: of the cards of a column, a key of `sorting.SORTS`.
    cache: keep the board for the next first frame. keys: (scope, action, its keys) of what
    `[board.keys]` changes.
    """

    bell: bool = True
    notify: bool = True
    mouse: bool = True
    ascii: bool = False
    sort: str = "rank"
    cache: bool = True
    keys: Changes = ()


class BadSettings(ValueError):
    """The file cannot be used. mistakes: a sentence each; its text is all of them."""

    def __init__(self, source: str, mistakes: tuple[str, ...]) -> None:
        self.source, self.mistakes = source, mistakes
        if len(mistakes) == 1:
            super().__init__(f"{source}: {mistakes[0]}")
        else:
            super().__init__("\n  ".join((f"{source} has {len(mistakes)} mistakes:", *mistakes)))


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings; without a file they are the defaults. Raises BadSettings."""
    path = paths.config_file(environ)
    if not path.exists():
        if environ.get("CORTEX_CONFIG"):
            raise BadSettings(str(path), ("CORTEX_CONFIG names it, and it does not exist.",))
        return Settings()
    from cortex_cli.board import settings_file

    return settings_file.read(path)
