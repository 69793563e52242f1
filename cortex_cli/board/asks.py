"""What the board asks of agents at work, and what comes of it: effects and messages."""

from cortex_cli.board.value import Value
from cortex_cli.board.wire import Review
from cortex_cli.board.work import Attempt, LogEntry, Permission

# --- effects


class StartAttempt(Value):
    """profile: "" for none."""

    ticket: str
    agent: str
    profile: str


class StopAttempt(Value):
    attempt: str


class RetryAttempt(Value):
    attempt: str
    ticket: str


class Answer(Value):
    """text: "" for none, where options were chosen."""

    permission: str
    choices: tuple[str, ...]
    text: str


class ResolveReview(Value):
    review: str
    state: str
    note: str


class Say(Value):
    """Something to an agent, into its session."""

    session: str
    text: str


class Abort(Value):
    """End the turn of an agent, not its work."""

    session: str


class LoadAsked(Value):
    """A question, or a review, of another project."""

    id: str
    review: bool


class LoadAgents(Value):
    """Who can work on a ticket of this project."""

    project: str
    ticket: str


class LoadLog(Value):
    """after: number of the last entry that is known; 0 asks for the end of the log. before: number
    of the first one, to get those before it. step: those right after, however many more there are;
    else the end of the log, where it is too far from what is known."""

    attempt: str
    after: int
    before: int = 0
    step: bool = False


class LoadDiff(Value):
    attempt: str


Ask = StartAttempt | StopAttempt | RetryAttempt | Answer | ResolveReview | Say | Abort


# --- messages


class Asked(Value):
    """What was asked of an agent is done. target: the intent that it fulfils, "" for none."""

    target: str
    result: Attempt | Permission | Review | None
    said: str


class AskRefused(Value):
    """It is not. target: the intent that is taken back, "" for none. draft: a text that was typed,
    with the name of the draft that it goes back to."""

    target: str
    why: str
    draft: tuple[str, str] | None = None


class Choice(Value):
    """Who can work: an agent, or a profile of one. online: whether a runner offers it now."""

    agent: str
    profile: str
    online: bool


class AgentsLoaded(Value):
    ticket: str
    choices: tuple[Choice, ...]


class AskedLoaded(Value):
    thing: Permission | Review


class AgentsFailed(Value):
    ticket: str
    why: str


class LogLoaded(Value):
    """entries: those that follow the ones that were known, or the last ones there are.

    before: those that precede this one. more: others follow them.
    """

    attempt: str
    entries: tuple[LogEntry, ...]
    before: int = 0
    more: bool = False


class DiffLoaded(Value):
    attempt: str
    text: str
    at: str
    truncated: bool
