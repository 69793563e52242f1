"""Loading a thing that the token may read, or may change."""

from cortex_server.api.endpoint import Call, Read, Write
from cortex_server.domains import attempts, projects, tickets
from cortex_server.errors import Forbidden, NotFound
from cortex_server.events.objects import Project, Ticket
from cortex_server.events.work import Attempt


def readable_project(call: Read | Write, key: str) -> Project:
    """Raises NotFound when there is none or the token may not read it."""
    project = projects.get(call.tx, key)
    call.grant.check_read(project.key)
    return project


def writable_project(call: Write, key: str) -> Project:
    """Raises NotFound as above, Forbidden when the token may only read."""
    project = projects.get(call.tx, key)
    call.grant.check_write(project.key)
    return project


def readable_ticket(call: Read | Write, ref: str) -> Ticket:
    """ref: key in any case, or id."""
    ticket = tickets.get(call.tx, ref)
    call.grant.check_read(ticket.project, ticket.key)
    return ticket


def writable_ticket(call: Write, ref: str) -> Ticket:
    ticket = tickets.get(call.tx, ref)
    call.grant.check_write(ticket.project, ticket.key)
    return ticket


def readable_attempt(call: Read | Write) -> Attempt:
    """The attempt that the address names; the token of an attempt reads that one only."""
    attempt = attempts.get(call.tx, call.args["id"])
    call.grant.check_read(attempt.project, attempt.ticket)
    if call.grant.attempt not in (None, attempt.id):
        raise NotFound(f"There is no attempt {attempt.id} that this token may read.")
    return attempt


def owned_attempt(call: Write) -> Attempt:
    """The attempt that a runner writes to, by the generation of its claim in the body.

    Raises NotFound, and Conflict (stale_generation, attempt_ended).
    """
    readable_attempt(call)
    return attempts.owned(call.tx, call.args["id"], call.body.generation)


def scope(call: Read, project: str | None, ticket: str | None) -> tuple[str | None, str | None]:
    """The keys to narrow a list to, as written; a token of one ticket is narrowed to it.

    Raises NotFound for what is not there or not readable.
    """
    if ticket is None and call.grant.ticket is not None:
        ticket = call.grant.ticket
    ticket_key = None if ticket is None else readable_ticket(call, ticket).key
    if project is None:
        return None, ticket_key
    found = projects.get(call.tx, project)
    call.grant.check_read(found.key, ticket_key)
    return found.key, ticket_key


def check_own(call: Call, author_is_caller: bool, what: str) -> None:
    """An agent changes only what it wrote: it must not put words into another's mouth."""
    if call.grant.role == "agent" and not author_is_caller:
        raise Forbidden(f"An agent's token changes only its own {what}.")
