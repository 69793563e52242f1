"""What goes wrong with a repository. Each message says what to do next.

RunnerError
└── GitError
    ├── NoGit              git is not there, or too old
    ├── NotARepository     the path is not the top of a repository, or not a worktree of it
    ├── NotTrusted         git refuses the repository, since it belongs to somebody else
    ├── NoSuchRevision     no branch, tag or commit of that name
    ├── NotPossible        the state of the repository forbids it; nothing was changed
    │   └── FilterNotRun   a filter of the repository's own configuration would be needed
    ├── TimedOut           not done by the deadline
    ├── Busy               another git held a lock until the deadline
    ├── TooLarge           more output than can be taken
    └── GitFailed          git said no: command, exit code and its message
        ├── RemoteFailed   the remote cannot be reached, or refused
        └── PushRejected   the remote's branch holds commits that ours does not

Texts of git quote names and messages of strangers: sanitise them before they reach a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence

from cortex_cli.runner.errors import RunnerError


class GitError(RunnerError):
    """The root of what goes wrong with a repository."""


class NoGit(GitError):
    """Git is not there, or too old."""


class NotARepository(GitError):
    """The path is not the top of a repository, or not a worktree of it."""


class NotTrusted(GitError):
    """Git refuses the repository, since its files belong to somebody else."""


class NoSuchRevision(GitError):
    """There is no branch, tag or commit of that name."""


class NotPossible(GitError):
    """The state of the repository forbids it; nothing was changed."""


class FilterNotRun(NotPossible):
    """Files need a filter that only the repository's own configuration names.

    Committing them unfiltered might publish what the filter was to encrypt.
    """

    def __init__(self, files: Sequence[str], filters: Sequence[str]) -> None:
        self.files, self.filters = tuple(files), tuple(filters)
        named = ", ".join(self.files[:3]) + (", …" if len(self.files) > 3 else "")
        wanted = ", ".join(self.filters)
        super().__init__(
            f"{named} must pass the filter {wanted}, which only the repository's own "
            f"configuration names, and that is never run. Commit by hand, or configure "
            f"filter.{self.filters[0]}.* in your own with `git config --global`."
        )


class TimedOut(GitError):
    """It was not done by the deadline; what was started was ended."""


class Busy(GitError):
    """Another git held a lock until the deadline."""


class TooLarge(GitError):
    """A command gave more output than can be taken."""


class GitFailed(GitError):
    """Git said no. said: its message, without credentials."""

    def __init__(self, command: str, code: int, said: str) -> None:
        self.command, self.code, self.said = command, code, said
        super().__init__(f"git {command} failed ({code}): {said or 'it said nothing'}")


class RemoteFailed(GitFailed):
    """The remote cannot be reached, or refused."""


class PushRejected(GitFailed):
    """The remote's branch holds commits that ours does not."""
