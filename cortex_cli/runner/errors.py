"""What goes wrong while an agent is run. Each message is one line for people.

RunnerError
├── AdapterError    an agent cannot be started, or cannot do what it is asked
└── GroupError      the processes of an attempt cannot be started, or did not end
"""

from __future__ import annotations


class RunnerError(Exception):
    """The root of what the runner raises by itself."""


class AdapterError(RunnerError):
    """An agent cannot be started, or cannot do what it is asked."""


class GroupError(RunnerError):
    """The processes of an attempt cannot be started, or did not end."""
