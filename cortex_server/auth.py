"""Who may do what: tokens, roles and grants.

Rights are all or nothing per project. `actor` always comes from the token.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from cortex_server.db.schema import tickets, tokens
from cortex_server.db.statements import Statement
from cortex_server.errors import Forbidden, NotFound, Unauthenticated
from cortex_server.events.objects import Actor, Role
from cortex_server.ids import secret_hash
from cortex_server.store import ReadTx

ROLES: tuple[Role, ...] = ("read", "write", "agent", "runner", "admin")
LOCAL_NAME = "local"
_BY_HASH = Statement(select(tokens).where(tokens.c.hash == bindparam("hash")))
_LIVING = Statement(
    select(tokens.c.id).where(tokens.c.id == bindparam("id"), tokens.c.revoked_at.is_(None))
)
_PROJECT_OF = Statement(select(tickets.c.project).where(tickets.c.key == bindparam("key")))


@dataclass(frozen=True)
class Grant:
    """What a token allows. projects: keys, None for all · ticket: the only one, by key.

    attempt: whose token it is; of the conversations on the ticket it changes that one's only.
    """

    token_id: str
    role: Role
    actor: Actor
    projects: frozenset[str] | None
    ticket: str | None
    expires_at: str | None
    attempt: str | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    @property
    def sees_all(self) -> bool:
        return self.projects is None and self.ticket is None

    def reads_project(self, project: str) -> bool:
        return self.projects is None or project in self.projects

    def check_read(self, project: str, ticket: str | None = None) -> None:
        """Refuse what this token must not see; it then looks as if it did not exist."""
        hidden = self.ticket is not None and ticket != self.ticket
        if hidden or not self.reads_project(project):
            raise NotFound(
                f"There is no {ticket or f'project {project}'} that this token may read."
            )

    def check_write(self, project: str, ticket: str | None = None) -> None:
        """Allow a change inside a project, and for an agent only on its own ticket."""
        self.check_read(project, ticket)
        if self.role == "read":
            raise Forbidden("This token may only read; ask for one with the role write.")

    def check_wide_write(self) -> None:
        """Allow creating or deleting teams and projects."""
        if self.role not in ("write", "admin") or self.projects is not None:
            raise Forbidden("This needs a token with the role write or admin for all projects.")

    def check_runner(self) -> None:
        """Allow what runners do: claiming, and telling how attempts go."""
        if self.role not in ("runner", "admin"):
            raise Forbidden("This needs a token with the role runner or admin.")

    def check_admin(self) -> None:
        if not self.is_admin:
            raise Forbidden("This needs a token with the role admin.")


class RecentGrants:
    """What the latest callers were allowed, to refuse others before their bodies are read.

    A grant from here may be outdated: whoever acts on it asks the database again.
    """

    def __init__(self, most: int = 1000) -> None:
        self._grants: dict[str, Grant] = {}
        self._most = most

    def find(self, secret: str) -> Grant | None:
        return self._grants.get(secret_hash(secret))

    def note(self, secret: str, grant: Grant) -> None:
        if len(self._grants) >= self._most:
            self._grants.clear()
        self._grants[secret_hash(secret)] = grant


def is_living(tx: ReadTx, token_id: str) -> bool:
    """Whether the token is there and was not revoked."""
    return _LIVING.one_or_none(tx.conn, id=token_id) is not None


def dead_among(tx: ReadTx, token_ids: frozenset[str]) -> frozenset[str]:
    """Those of these tokens that are gone or were revoked."""
    if not token_ids:
        return token_ids
    living = tokens.c.id.in_(sorted(token_ids)) & tokens.c.revoked_at.is_(None)
    return token_ids.difference(tx.conn.scalars(select(tokens.c.id).where(living)))


def grant_for(tx: ReadTx, secret: str) -> Grant:
    """The grant of a token's secret. Raises Unauthenticated when it is not a living one.

    The lookup is by SHA-256 of 256 random bits: how long it takes tells nothing about the secret.
    """
    row = _BY_HASH.one_or_none(tx.conn, hash=secret_hash(secret))
    if row is None:
        raise Unauthenticated("This token is unknown.", code="token_unknown")
    if row.revoked_at is not None:
        raise Unauthenticated("This token was revoked.", code="token_revoked")
    if row.expires_at is not None and row.expires_at <= tx.now:
        raise Unauthenticated("This token has expired.", code="token_expired")
    projects = None if row.projects is None else frozenset(row.projects)
    if row.ticket is not None:
        found = _PROJECT_OF.scalar(tx.conn, key=row.ticket)
        projects = frozenset([found] if found else [])
    return Grant(
        token_id=row.id,
        role=row.role,
        actor=Actor(kind=row.actor_kind, name=row.actor_name),
        projects=projects,
        ticket=row.ticket,
        expires_at=row.expires_at,
        attempt=row.attempt,
    )
