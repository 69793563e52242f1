"""Who was admitted to a stream a moment ago: a crowd that comes back at once costs no database."""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from cortex_server.auth import Grant
from cortex_server.stream.request import StreamRequest

KEPT_S = 1.0
MOST = 4_096


@dataclass(frozen=True, slots=True)
class _Admission:
    grant: Grant
    request: StreamRequest
    until_s: float


class RecentAdmissions:
    """What was found out about a request, for the next one that asks the same.

    Nothing is kept past the next revocation of a token or deletion of a project that this process
    hears of (its registry's count of `endings`), nor for longer than a second.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Admission] = {}

    def find(self, key: Hashable, endings: int, now_s: float) -> tuple[Grant, StreamRequest] | None:
        found = self._kept.get(key)
        if found is None or found.request.endings != endings or now_s >= found.until_s:
            return None
        return found.grant, found.request

    def note(self, key: Hashable, grant: Grant, request: StreamRequest, now_s: float) -> None:
        """Keep it, unless it is about something that may go without ending a stream."""
        if request.ticket or request.deltas or grant.ticket:
            return
        if len(self._kept) >= MOST:
            self._kept.clear()
        request = replace(request, client_id="", cursor=None)
        self._kept[key] = _Admission(grant, request, now_s + KEPT_S)
