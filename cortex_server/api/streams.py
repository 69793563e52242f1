"""The addresses of the event streams: who asks, for what; the stream itself is elsewhere."""

import re
from dataclasses import replace
from typing import Annotated
from uuid import uuid4

from flask import Blueprint, Response, request
from pydantic import Field

from cortex_server import log
from cortex_server.api import problems
from cortex_server.api.admissions import RecentAdmissions
from cortex_server.api.credentials import grant_of, secret_of
from cortex_server.api.endpoint import add_get, services
from cortex_server.api.fields import Flag, Query, Word
from cortex_server.api.parsing import has_body
from cortex_server.api.queries import parse_query
from cortex_server.auth import Grant
from cortex_server.clock import iso
from cortex_server.domains import projects, sessions, tickets
from cortex_server.errors import Forbidden, Malformed, NotFound
from cortex_server.events import EVENTS
from cortex_server.ids import secret_hash
from cortex_server.store import ReadTx
from cortex_server.stream.request import StreamRequest
from cortex_server.stream.response import stream_response

_TYPE = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+", re.A)
_FAMILY = re.compile(r"([a-z][a-z_]*(?:\.[a-z][a-z_]*)*)\.\*", re.A)
_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TYPES_MAX = 4096


class DashboardQuery(Query):
    """The parameters of the dashboard stream."""

    client_id: str | None = Field(default=None, description="Echoed in hello; a UUID when absent.")
    since: str | None = Field(default=None, description="Like Last-Event-ID, which wins.")


class StreamQuery(DashboardQuery):
    """The parameters of a stream of events."""

    project: Word | None = Field(
        default=None, description="The board to follow; the header X-Cortex-Project does the same."
    )
    types: Annotated[str, Field(max_length=_TYPES_MAX)] | None = Field(
        default=None, description="Only these types: exact names, noun.* or *, by commas."
    )
    ticket: Word | None = Field(default=None, description="Only events of this ticket.")
    deltas: Word | None = Field(
        default=None, description="Also the growing text of this session, or * for all."
    )
    snapshot: Flag = Field(default=True, description="0: no state, only events.")


def blueprint() -> Blueprint:
    routes = Blueprint("streams", __name__)
    admissions = RecentAdmissions()
    add_get(routes, "/events", lambda: events(admissions), "events")
    add_get(routes, "/events/dashboard", dashboard)
    return routes


def events(admissions: RecentAdmissions) -> Response:
    """The stream of a board, or of everything that the token may read."""
    secret = secret_of(request)
    address = _address_without_reader()
    key = (secret_hash(secret), request.headers.get("X-Cortex-Project"), address)
    endings = services().streams.endings  # before reading: an end in between must show
    known = admissions.find(key, endings, services().clock.monotonic())
    if known is not None:
        grant, wanted = known
        asked = parse_query(StreamQuery, _query())
        services().last_used.note(grant.token_id, iso(services().clock.now()))
        wanted = replace(wanted, client_id=_client_id(asked.client_id), cursor=_cursor(asked.since))
        return stream_response(services(), grant, wanted)
    with services().store.read() as tx:
        grant = grant_of(services(), tx, secret)
        asked = parse_query(StreamQuery, _query())
        wanted = _wanted(tx, grant, asked, endings)
    admissions.note(key, grant, wanted, services().clock.monotonic())
    return stream_response(services(), grant, wanted)


def dashboard() -> Response:
    """The stream of the dashboard's overviews."""
    with services().store.read() as tx:
        grant = grant_of(services(), tx, secret_of(request))
    if grant.ticket is not None:
        raise Forbidden(f"This token is for {grant.ticket} and what is on it only.")
    asked = parse_query(DashboardQuery, _query())
    wanted = StreamRequest(
        client_id=_client_id(asked.client_id), cursor=_cursor(asked.since), dashboard=True
    )
    return stream_response(services(), grant, wanted)


def _address_without_reader() -> tuple[str, ...]:
    """The query's pairs that say what is to be read, without who reads it and from where."""
    pairs = request.environ.get("QUERY_STRING", "").split("&")
    return tuple(pair for pair in pairs if not pair.startswith(("client_id=", "since=")))


def _query() -> str:
    if has_body(request):
        raise Malformed("A stream takes no body.")
    query: str = request.environ.get("QUERY_STRING", "")
    return query


def _wanted(tx: ReadTx, grant: Grant, asked: StreamQuery, endings: int) -> StreamRequest:
    """What was asked, with keys as written. Raises Malformed, or NotFound for what is not there."""
    try:
        project, ticket = _scope(tx, grant, _project_named(asked.project), asked.ticket)
        deltas = _deltas(tx, grant, project, asked.deltas)
    except NotFound:
        if grant.sees_all:
            raise
        raise problems.hidden() from None
    return StreamRequest(
        client_id=_client_id(asked.client_id),
        project=project,
        types=parse_types(asked.types),
        ticket=ticket,
        deltas=deltas,
        cursor=_cursor(asked.since),
        snapshot=asked.snapshot,
        endings=endings,
    )


def _scope(
    tx: ReadTx, grant: Grant, project: str | None, ticket: str | None
) -> tuple[str | None, str | None]:
    """The keys of the stream; a token of one ticket gets that one whatever it leaves out."""
    ref = ticket or grant.ticket
    found = None if ref is None else tickets.get(tx, ref)
    if found is not None:
        ticket = found.key
        grant.check_read(found.project, ticket)
        if grant.ticket is not None and project is None:
            project = found.project
    if project is None:
        return None, ticket
    of = projects.get(tx, project).key
    grant.check_read(of, ticket)
    if found is not None and found.project != of:
        raise NotFound(f"There is no ticket {ref} in project {of}.")
    return of, ticket


def _deltas(tx: ReadTx, grant: Grant, project: str | None, asked: str | None) -> str | None:
    if asked is None or asked == "*":
        return asked
    session = sessions.get(tx, asked)
    grant.check_read(session.project, session.ticket)
    if project is not None and session.project != project:
        raise NotFound(f"There is no session {asked} in project {project}.")
    return session.id


def _project_named(in_query: str | None) -> str | None:
    in_header = request.headers.get("X-Cortex-Project")
    if in_header is not None and not (in_header.isascii() and in_header.strip()):
        raise Malformed("X-Cortex-Project: must be the key of a project.")
    named = in_header.strip() if in_header is not None else None
    if named is not None and in_query is not None and named.lower() != in_query.lower():
        raise Malformed("The header X-Cortex-Project and ?project= name two different projects.")
    return named or in_query


def parse_types(text: str | None) -> frozenset[str] | None:
    """The event types of a filter, None for all. A name that no event has matches nothing.

    Raises Malformed for what cannot be a name, so that a typing error does not look like silence.
    """
    if text is None:
        return None
    wanted: set[str] = set()
    for part in text.split(","):
        if part == "*":
            wanted |= EVENTS.keys()
        elif family := _FAMILY.fullmatch(part):
            wanted |= {name for name in EVENTS if name.startswith(family[1] + ".")}
        elif _TYPE.fullmatch(part):
            wanted.add(part)
        else:
            raise Malformed("types: names like ticket.moved, ticket.* or *, separated by commas.")
    return None if wanted >= EVENTS.keys() else frozenset(wanted)


def _client_id(asked: str | None) -> str:
    if asked is None:
        return str(uuid4())
    if not _CLIENT_ID.fullmatch(asked):
        raise Malformed("client_id: must be 1 to 128 visible ASCII characters.")
    return asked


def _cursor(since: str | None) -> tuple[str, int] | None:
    """Where to go on. The header wins: a browser that comes back sends it to the same address."""
    text = request.headers.get("Last-Event-ID") or since
    if text is None:
        return None
    cursor = log.parse_cursor(text)
    if cursor is None:
        raise Malformed("Last-Event-ID and since: use the id of an event, like 8f3c.1042.")
    return cursor
