"""What an attempt says: its log and its todos, told by its runner."""

from typing import Annotated

from pydantic import Field

from cortex_server.api.endpoint import Read, Routes, Write
from cortex_server.api.fields import (
    INT_MAX,
    Body,
    Generation,
    Line,
    PageQuery,
    QueryInt,
    Reported,
    absent,
)
from cortex_server.api.rights import owned_attempt, readable_attempt
from cortex_server.api.schemas import Logged
from cortex_server.domains import attempt_git, attempt_log, pages
from cortex_server.domains.pages import Listing
from cortex_server.events.work import Attempt, LogEntry, LogKind, TodoStatus

ENTRIES_MAX = 500
ENTRY_MAX = 65_536  # characters
TODOS_MAX = 200

routes = Routes("attempt_log")
LogText = Annotated[str, Field(max_length=ENTRY_MAX)]


class NewEntry(Body):
    kind: LogKind
    text: LogText
    tool: Reported | None = absent()


class NewEntries(Body):
    """Entries in their order. generation: of the claim."""

    generation: Generation
    entries: Annotated[list[NewEntry], Field(min_length=1, max_length=ENTRIES_MAX)]


class NewTodo(Body):
    text: Line
    status: TodoStatus


class TodoList(Body):
    """All todos, as they are now. generation: of the claim."""

    generation: Generation
    todos: Annotated[list[NewTodo], Field(max_length=TODOS_MAX)]


class LogQuery(PageQuery):
    """Which entries: those after one, the last ones, or the last ones before one."""

    after: Annotated[QueryInt, Field(ge=0, le=INT_MAX)] = Field(
        default=0, description="The number of the last entry that is known."
    )
    tail: Annotated[QueryInt, Field(ge=1, le=500)] | None = Field(
        default=None, description="Only so many, the last ones."
    )
    before: Annotated[QueryInt, Field(ge=1, le=INT_MAX)] | None = Field(
        default=None,
        description="Only the last `tail` (or `limit`) ones before the entry with this number.",
    )


@routes.get(
    "/attempts/<id>/log", summary="List an attempt's log, oldest first: from `after`, or its tail.",
    answer=LogEntry, many=True, query=LogQuery, agent=True,
)  # fmt: skip
def listing(call: Read) -> Listing[LogEntry]:
    attempt = readable_attempt(call)
    if call.query.tail is not None or call.query.before is not None:
        count = call.query.tail or call.query.limit
        return attempt_log.tail(call.tx, attempt.id, count, call.query.before)
    named = pages.decode(call.query.cursor, int)
    after = named[0] if named else call.query.after
    return attempt_log.after(call.tx, attempt.id, after, call.query.limit)


@routes.post(
    "/attempts/<id>/log", status=200, access="runner", body=NewEntries, answer=Logged,
    summary="Add entries to an attempt's log, as its runner.",
)  # fmt: skip
def append(call: Write) -> Logged:
    added = attempt_log.append(call.tx, owned_attempt(call), call.given["entries"])
    return Logged(added=len(added), last=added[-1].number)


@routes.put(
    "/attempts/<id>/todos", access="runner", body=TodoList, answer=Attempt,
    summary="Replace an attempt's todos, as its runner.",
)  # fmt: skip
def todos(call: Write) -> Attempt:
    return attempt_git.todos(call.tx, owned_attempt(call), call.given["todos"])
