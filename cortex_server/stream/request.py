"""What a client asked of a stream."""

from dataclasses import dataclass

from cortex_server.auth import Grant
from cortex_server.channels import Channel


@dataclass(frozen=True)
class StreamRequest:
    """project, ticket: keys as written · cursor: (epoch, position) · snapshot: wants a state ·
    endings: the registry's count before this request was checked, None: check it again.
    """

    client_id: str
    project: str | None = None
    types: frozenset[str] | None = None
    ticket: str | None = None
    deltas: str | None = None
    cursor: tuple[str, int] | None = None
    snapshot: bool = True
    dashboard: bool = False
    endings: int | None = None

    def channel(self, grant: Grant) -> Channel:
        """The channel that carries just this, as far as the token allows."""
        return Channel(
            project=self.project,
            readable=grant.projects,
            admin=grant.is_admin,
            types=None if self.dashboard else self.types,
            ticket=grant.ticket or self.ticket,
            deltas=None if self.dashboard else self.deltas,
        )

    @property
    def scope(self) -> str:
        if self.dashboard:
            return "dashboard"
        return "firehose" if self.project is None else "board"
