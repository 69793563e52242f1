"""What an attempt does to its repository, told by its runner."""

from typing import Annotated

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    INT_MAX,
    Body,
    Generation,
    GitRef,
    Line,
    Path,
    Reported,
    Text,
    Time,
    absent,
)
from cortex_server.api.rights import owned_attempt, readable_attempt
from cortex_server.api.schemas import AttemptDiff, AttemptRepository, Commits
from cortex_server.domains import attempt_git
from cortex_server.domains.attempt_git import Diff
from cortex_server.events.work import Attempt, GitPush, PrState

routes = Routes("attempt_git")

COMMITS_MAX = 500
Count = Annotated[int, Field(ge=0, le=INT_MAX)]
Sha = Annotated[str, Field(min_length=4, max_length=64)]
Url = Annotated[str, Field(min_length=1, max_length=2000)]


class File(Body):
    path: Path
    status: Annotated[str, Field(min_length=1, max_length=20)]


class GitStatus(Body):
    """more: changed files beyond `files` · generation: of the claim."""

    generation: Generation
    branch: GitRef | None
    head: Sha | None
    ahead: Count
    behind: Count
    files: Annotated[list[File], Field(max_length=1000)]
    more: Count = 0


class Commit(Body):
    sha: Sha
    subject: Annotated[str, Field(max_length=2000)]
    author: Annotated[str, Field(max_length=200)]
    at: Time
    files: Count
    insertions: Count
    deletions: Count


class NewCommits(Body):
    """Commits in their order; those that are known may be among them."""

    generation: Generation
    commits: Annotated[list[Commit], Field(max_length=COMMITS_MAX)]


class NewPush(Body):
    generation: Generation
    remote: Reported
    branch: GitRef
    sha: Sha


class Pr(Body):
    """A pull request, or only the page on which a person may open one.

    url: null where there is none · generation: of the claim, also after its end.
    """

    generation: Generation
    state: PrState
    url: Url | None = absent()
    number: Annotated[int, Field(ge=1, le=INT_MAX)] | None = absent()
    compare_url: Url | None = absent()


class NewDiff(Body):
    """text: beyond 512 KiB it is cut, and truncated becomes true."""

    generation: Generation
    base: Line
    head: Line | None = absent()
    text: Text
    truncated: bool


@routes.get(
    "/attempts/<id>/git", summary="Show what an attempt did to its repository.",
    answer=AttemptRepository, agent=True,
)  # fmt: skip
def show(call: Read) -> AttemptRepository:
    attempt = readable_attempt(call)
    known = attempt_git.of_attempt(call.tx, attempt)
    changed = attempt.git.changed if attempt.git else 0
    return AttemptRepository(
        attempt=attempt.id, branch=attempt.branch, base=attempt.base, git=attempt.git,
        files=known.files, more=changed - len(known.files), commits=known.commits,
        pushes=known.pushes, pr=attempt.pr, compare_url=attempt.compare_url,
    )  # fmt: skip


@routes.put(
    "/attempts/<id>/git/status", access="runner", body=GitStatus, answer=Attempt,
    summary="Tell how an attempt's worktree is, as its runner.",
)  # fmt: skip
def status(call: Write) -> Attempt:
    fields = {"more": call.body.more, **call.given}
    return attempt_git.status(call.tx, owned_attempt(call), fields)


@routes.post(
    "/attempts/<id>/git/commits", status=200, access="runner", body=NewCommits, answer=Commits,
    summary="Tell of commits in an attempt's worktree, as its runner; only new ones are news.",
)  # fmt: skip
def commits(call: Write) -> Commits:
    return Commits(items=attempt_git.commits(call.tx, owned_attempt(call), call.given["commits"]))


@routes.post(
    "/attempts/<id>/git/pushes", status=200, access="runner", body=NewPush, answer=GitPush,
    summary="Tell of a push of an attempt's branch, as its runner.",
)  # fmt: skip
def push(call: Write) -> GitPush:
    return attempt_git.push(call.tx, owned_attempt(call), call.given)


@routes.put(
    "/attempts/<id>/pr", access="runner", body=Pr, answer=Attempt,
    summary="Tell how an attempt's pull request is, as its runner; also after the attempt's end.",
)  # fmt: skip
def pull_request(call: Write) -> Attempt:
    readable_attempt(call)
    attempt = attempt_git.of_claim(call.tx, call.args["id"], call.body.generation)
    return attempt_git.pull_request(call.tx, attempt, call.given)


@routes.get(
    "/attempts/<id>/diff", summary="Show what an attempt changed, as its runner last saw it.",
    answer=AttemptDiff, agent=True,
)  # fmt: skip
def diff(call: Read) -> AttemptDiff:
    attempt = readable_attempt(call)
    return _diff(attempt, attempt_git.diff_of(call.tx, attempt))


@routes.put(
    "/attempts/<id>/diff", access="runner", body=NewDiff, answer=AttemptDiff,
    summary="Keep what an attempt changed, as its runner; no event tells it.",
)  # fmt: skip
def put_diff(call: Write) -> AttemptDiff:
    attempt = owned_attempt(call)
    return _diff(attempt, attempt_git.put_diff(call.tx, attempt, call.given))


def _diff(attempt: Attempt, kept: Diff) -> AttemptDiff:
    return AttemptDiff(attempt=attempt.id, **vars(kept))
