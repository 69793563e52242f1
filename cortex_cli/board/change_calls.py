"""Changes of tickets through the SDK: many in one transaction, or else each by itself."""

from collections.abc import Sequence

from cortex_cli.board import changes as ch
from cortex_cli.board.wire import Ticket
from cortex_cli.sdk import Conflict, CortexClient, CortexError, Invalid, NotFound, Refused, url_path

AT_ONCE = 500  # rows that the server takes in one request


def altered(client: CortexClient, effect: ch.Alter) -> ch.Altered:
    """Change all of a project together; where one of them is in the way, one by one."""
    done: list[Ticket] = []
    refused: list[ch.RowRefused] = []
    for project in dict.fromkeys(row.project for row in effect.rows):
        rows = [row for row in effect.rows if row.project == project]
        for first in range(0, len(rows), AT_ONCE):
            _alter(client, project, rows[first : first + AT_ONCE], done, refused)
    return ch.Altered(effect.number, tuple(done), tuple(refused))


def _alter(
    client: CortexClient,
    project: str,
    rows: Sequence[ch.Row],
    done: list[Ticket],
    refused: list[ch.RowRefused],
) -> None:
    """Add to `done` and `refused` what comes of it."""
    try:
        done += _sent(client, project, rows)
    except CortexError as error:
        if len(rows) > 1 and isinstance(error, Refused) and not error.retryable:
            for row in rows:
                _alter(client, project, [row], done, refused)
        else:
            refused += [refusal(row, error) for row in rows]


def _sent(client: CortexClient, project: str, rows: Sequence[ch.Row]) -> list[Ticket]:
    named = [{"ticket": r.ticket_id, "revision": r.revision, **r.fields} for r in rows]
    answer = client.patch(url_path("api", "projects", project, "tickets"), json={"changes": named})
    return [Ticket.read(item) for item in answer["items"]]


def deleted(client: CortexClient, effect: ch.Delete) -> ch.Deleted:
    """Delete one after another: there is no way to delete several as one."""
    done: list[str] = []
    refused: list[ch.RowRefused] = []
    for row in effect.rows:
        try:
            path = url_path("api", "tickets", row.ticket_id)
            client.delete(path, params={"revision": row.revision})
            done.append(row.ticket_id)
        except CortexError as error:
            refused.append(refusal(row, error))
    return ch.Deleted(effect.number, tuple(done), tuple(refused))


def refusal(row: ch.Row, error: Exception) -> ch.RowRefused:
    """Why this row was refused, in words."""
    why = str(error) or type(error).__name__
    if isinstance(error, Conflict) and error.current and "id" in error.current:
        return ch.RowRefused(
            row.ticket_id, "somebody changed it meanwhile", Ticket.read(error.current)
        )
    if isinstance(error, NotFound):
        why = "it is gone"
    elif isinstance(error, Invalid):
        told = error.body.get("errors")
        found = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
        named = [f"{_last(one.get('field'))}: {one.get('message')}" for one in found]
        why = "; ".join(named) or why
    return ch.RowRefused(row.ticket_id, why.rstrip("."), None, may_work_again(error))


def may_work_again(error: Exception) -> bool:
    return isinstance(error, CortexError) and error.retryable


def _last(field: object) -> str:
    """The field of a row, without the row: `changes.0.status` is `status`."""
    return str(field).rpartition(".")[2]
