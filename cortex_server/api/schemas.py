"""Answers that are made of several objects, or of none."""

from typing import Any

from cortex_server.events.objects import Label, Project, Review, Session, Ticket, Wire
from cortex_server.events.work import (
    Attempt,
    Batch,
    ChangedFile,
    GitCommit,
    GitPush,
    GitSummary,
    Permission,
    PullRequest,
)


class Board(Wire):
    """A project at one moment. seq: of its newest event; with it a reader proves completeness."""

    epoch: str
    head: int
    seq: int
    project: Project
    labels: list[Label]
    tickets: list[Ticket]
    sessions: list[Session]
    attempts: list[Attempt]
    reviews: list[Review]
    permissions: list[Permission]
    batches: list[Batch]


class Tickets(Wire):
    """The tickets that were made or changed, in the order of the request."""

    items: list[Ticket]


class Imported(Wire):
    """The keys by what happened, and every ticket in the order given."""

    created: list[str]
    updated: list[str]
    unchanged: list[str]
    items: list[Ticket]


class Length(Wire):
    """The length of a part's text now, in code points. Not durable yet: the final PUT is."""

    length: int


class Applied(Wire):
    """How many deltas of the list were appended. Not durable yet: the final PUT is."""

    applied: int


class StoredMessages(Wire):
    """How many messages of the list were new, changed, and neither."""

    created: int
    updated: int
    unchanged: int


class Logged(Wire):
    """How many entries were added to a log, and the number of the last one."""

    added: int
    last: int


class Commits(Wire):
    """The commits that were not known before."""

    items: list[GitCommit]


class AttemptRepository(Wire):
    """What an attempt did to its repository.

    files: those that changed, with `more` others · commits, pushes: the newest, oldest first.
    """

    attempt: str
    branch: str | None
    base: str | None
    git: GitSummary | None
    files: list[ChangedFile]
    more: int
    commits: list[GitCommit]
    pushes: list[GitPush]
    pr: PullRequest | None
    compare_url: str | None


class AttemptDiff(Wire):
    """What an attempt changed, as its runner last saw it. truncated: that there is more of it."""

    attempt: str
    base: str
    head: str | None
    text: str
    truncated: bool
    at: str


class LoginTicket(Wire):
    """path: opened once, within `expires_in_s`, it logs a browser in."""

    path: str
    expires_in_s: int


class Overview(Wire):
    """What the dashboard shows: counts of each project and of all, and what there is to look at.

    attempts: at work and in the queue · needs: what waits for a person (permission; question;
    turn, an agent that goes on when something is said to it; review; failed; lost), oldest first.
    """

    epoch: str
    head: int
    at: str
    projects: list[dict[str, Any]]
    totals: dict[str, Any]
    attempts: list[dict[str, Any]]
    needs: list[dict[str, Any]]
    runners: list[dict[str, Any]]


class Problem(Wire):
    """Problem details (RFC 9457). code: stable, for programs · detail: for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
