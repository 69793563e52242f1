"""What an attempt does to its repository, as its runner reads it there: status, commits, pushes,
the diff, the pull request; and the list of what the agent has to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, delete, func, select

from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import attempt_commits, attempt_diffs, attempt_pushes
from cortex_server.db.work import attempts as table
from cortex_server.domains import attempt_rows, attempt_states, attempts, board_rules
from cortex_server.domains.redaction import redacted
from cortex_server.domains.rows import bump
from cortex_server.errors import Conflict, NotFound
from cortex_server.events.payloads import AttemptGit, AttemptPr, AttemptTodos
from cortex_server.events.work import Attempt, ChangedFile, GitCommit, GitPush, PrState
from cortex_server.store import ReadTx, WriteTx

FILES_MAX = 200  # that are told; of more only how many there are
DIFF_MAX = 512 * 1024  # bytes of UTF-8
SHOWN_MAX = 500  # commits, and pushes: the newest
_PR = ("state", "url", "number")
_FILES = Statement(select(table.c.files).where(table.c.id == bindparam("of")))
_DIFF = Statement(select(attempt_diffs).where(attempt_diffs.c.attempt == bindparam("of")))


@dataclass(frozen=True)
class Git:
    """What is known of an attempt's repository. commits, pushes: the newest, in their order."""

    files: list[ChangedFile]
    commits: list[GitCommit]
    pushes: list[GitPush]


@dataclass(frozen=True)
class Diff:
    """What an attempt changed. truncated: that there is more of it."""

    base: str
    head: str | None
    text: str
    truncated: bool
    at: str


def todos(tx: WriteTx, attempt: Attempt, items: Sequence[dict[str, Any]]) -> Attempt:
    """Replace the list of todos. The same again changes nothing."""
    wanted = [{**item, "text": redacted(item["text"])} for item in items]
    if [todo.model_dump() for todo in attempt.todos] == wanted:
        return attempt
    changed = _store(tx, attempt, {"todos": wanted})
    told = AttemptTodos(**_stamp(changed), todos=changed.todos)
    tx.emit("attempt.todos", told, changed.project, changed.ticket)
    return changed


def status(tx: WriteTx, attempt: Attempt, fields: dict[str, Any]) -> Attempt:
    """Say how the worktree is. fields: branch, head, ahead, behind, files [{path, status}], more.

    The same again changes nothing.
    """
    files = [{"path": f["path"], "status": f["status"]} for f in fields["files"][:FILES_MAX]]
    changed = len(fields["files"]) + fields["more"]
    git = {name: fields[name] for name in ("branch", "head", "ahead", "behind")}
    git["changed"] = changed
    known = attempt.git.model_dump() if attempt.git else None
    if known == git and _files_of(tx, attempt) == files:
        return attempt
    updated = _store(tx, attempt, {"git": git, "files": files})
    more = changed - len(files)
    told = AttemptGit(**_stamp(updated), **git, files=_changed(files), more=more)
    tx.emit("git.status", told, updated.project, updated.ticket)
    return updated


def commits(tx: WriteTx, attempt: Attempt, made: Sequence[dict[str, Any]]) -> list[GitCommit]:
    """Tell of commits, in their order; returns those that were not known."""
    told = {item["sha"]: item for item in made}
    known = _known_shas(tx, attempt, list(told))
    number = _last(tx, attempt_commits, attempt.id)
    added = []
    for sha, item in told.items():
        if sha in known:
            continue
        number += 1
        texts = {name: redacted(item[name]) for name in ("subject", "author")}
        commit = GitCommit(**{**item, **texts}, attempt=attempt.id)
        insertion(attempt_commits).run(tx.conn, number=number, **commit.model_dump())
        tx.emit("git.commit", commit, attempt.project, attempt.ticket)
        added.append(commit)
    return added


def push(tx: WriteTx, attempt: Attempt, fields: dict[str, Any]) -> GitPush:
    """Tell of a push. The last one again changes nothing."""
    wanted = {
        "remote": redacted(fields["remote"]), "branch": fields["branch"], "sha": fields["sha"],
    }  # fmt: skip
    before = _pushes(tx, attempt.id, 1)
    if before and before[0].model_dump(include=set(wanted)) == wanted:
        return before[0]
    pushed = GitPush(attempt=attempt.id, **wanted, at=tx.now)
    number = _last(tx, attempt_pushes, attempt.id) + 1
    insertion(attempt_pushes).run(tx.conn, number=number, **pushed.model_dump())
    tx.emit("git.push", pushed, attempt.project, attempt.ticket)
    return pushed


def of_claim(tx: ReadTx, attempt_id: str, generation: int) -> Attempt:
    """The attempt of this claim, also when it has ended: its pull request outlives it.

    Raises NotFound, Conflict (stale_generation).
    """
    attempt = attempt_rows.stored(tx, attempt_id)
    if generation != attempt.generation or attempt.status == "queued":
        return attempt_rows.owned(tx, attempt_id, generation)  # which says what is wrong
    return attempt


def pull_request(tx: WriteTx, attempt: Attempt, fields: dict[str, Any]) -> Attempt:
    """Say how the pull request is. fields: state, and maybe url, number and compare_url.

    One that becomes merged moves the ticket by the board's rule. Open without a url means that
    there is only the page on which a person opens it. The same again changes nothing.
    Raises Conflict (merged) for one that was merged and is to be something else.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    compare_url = given.get("compare_url", attempt.compare_url)
    if attempt.pr is None and given["state"] != "merged" and "url" not in given:
        return _compared(tx, attempt, compare_url)
    known = attempt.pr.model_dump() if attempt.pr else {"url": None, "number": None}
    wanted = {**known, **{name: given[name] for name in _PR if name in given}}
    if known == wanted and compare_url == attempt.compare_url:
        return attempt
    before: PrState | None = attempt.pr.state if attempt.pr else None
    if before == "merged" != wanted["state"]:
        raise Conflict(
            f"The work of {attempt_states.name(attempt)} was merged already.", code="merged"
        )
    changed = _store(tx, attempt, {"pr": wanted, "compare_url": compare_url})
    told = AttemptPr(**_stamp(changed), **wanted, compare_url=compare_url)
    tx.emit("attempt.pr", told, changed.project, changed.ticket)
    if before != wanted["state"] == "merged":
        board_rules.apply(tx, changed, "merged_moves_to")
    return changed


def _compared(tx: WriteTx, attempt: Attempt, compare_url: str | None) -> Attempt:
    """Keep the page on which a pull request may be opened."""
    if compare_url == attempt.compare_url:
        return attempt
    changed = _store(tx, attempt, {"compare_url": compare_url})
    attempts.tell(tx, changed)
    return changed


def put_diff(tx: WriteTx, attempt: Attempt, fields: dict[str, Any]) -> Diff:
    """Keep what the attempt changed, in place of what was kept before; no event tells it."""
    text, cut = _cut(redacted(fields["text"]))
    diff = Diff(fields["base"], fields.get("head"), text, fields["truncated"] or cut, tx.now)
    tx.conn.execute(delete(attempt_diffs).where(attempt_diffs.c.attempt == attempt.id))
    insertion(attempt_diffs).run(tx.conn, attempt=attempt.id, **vars(diff))
    return diff


def diff_of(tx: ReadTx, attempt: Attempt) -> Diff:
    """The last one. Raises NotFound when none has come yet."""
    row = _DIFF.one_or_none(tx.conn, of=attempt.id)
    if row is None:
        raise NotFound(f"Attempt {attempt.number} on {attempt.ticket} has no diff yet.")
    fields = row._asdict()
    del fields["attempt"]
    return Diff(**fields)


def of_attempt(tx: ReadTx, attempt: Attempt) -> Git:
    """What is known of its repository, beside the summary that it carries itself."""
    query = select(attempt_commits).where(attempt_commits.c.attempt == attempt.id)
    newest = query.order_by(attempt_commits.c.number.desc()).limit(SHOWN_MAX)
    found = [_without_number(row) for row in tx.conn.execute(newest)]
    made = [GitCommit.model_validate(fields) for fields in reversed(found)]
    pushed = _pushes(tx, attempt.id, SHOWN_MAX)
    return Git(_changed(_files_of(tx, attempt)), made, pushed[::-1])


def _pushes(tx: ReadTx, attempt_id: str, most: int) -> list[GitPush]:
    """The last ones, the newest first."""
    query = select(attempt_pushes).where(attempt_pushes.c.attempt == attempt_id)
    newest = query.order_by(attempt_pushes.c.number.desc()).limit(most)
    return [GitPush.model_validate(_without_number(row)) for row in tx.conn.execute(newest)]


def _without_number(row: Any) -> dict[str, Any]:
    fields: dict[str, Any] = row._asdict()
    del fields["number"]
    return fields


def _known_shas(tx: ReadTx, attempt: Attempt, shas: list[str]) -> set[str]:
    named: ColumnElement[bool] = attempt_commits.c.sha.in_(shas)
    query = select(attempt_commits.c.sha).where(attempt_commits.c.attempt == attempt.id, named)
    return set(tx.conn.scalars(query))


def _last(tx: ReadTx, of: Table, attempt_id: str) -> int:
    return tx.conn.scalar(select(func.max(of.c.number)).where(of.c.attempt == attempt_id)) or 0


def _files_of(tx: ReadTx, attempt: Attempt) -> list[dict[str, str]]:
    files: list[dict[str, str]] = _FILES.scalar(tx.conn, of=attempt.id)
    return files


def _changed(files: list[dict[str, str]]) -> list[ChangedFile]:
    return [ChangedFile.model_validate(file) for file in files]


def _cut(text: str) -> tuple[str, bool]:
    """At most DIFF_MAX bytes of it, in whole lines; and whether something is missing."""
    raw = text.encode()
    if len(raw) <= DIFF_MAX:
        return text, False
    kept = raw[:DIFF_MAX].rpartition(b"\n")
    return (kept[0] + kept[1] or raw[:DIFF_MAX]).decode(errors="ignore"), True


def _store(tx: WriteTx, attempt: Attempt, values: dict[str, Any]) -> Attempt:
    bump(tx, table, attempt.id, attempt, values)
    return attempt_rows.get(tx, attempt.id)


def _stamp(attempt: Attempt) -> dict[str, Any]:
    return {
        "attempt": attempt.id, "revision": attempt.revision, "updated_at": attempt.updated_at,
    }  # fmt: skip
