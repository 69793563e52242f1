"""What the running application is made of; put together in app.py, nowhere else."""

from dataclasses import dataclass, field

from cortex_server.auth import RecentGrants
from cortex_server.bus import Bus
from cortex_server.clock import Clock
from cortex_server.config import Config
from cortex_server.domains.last_used import LastUsed
from cortex_server.domains.live import Growing
from cortex_server.metrics import Metrics
from cortex_server.pages import Pages
from cortex_server.registry import StreamRegistry
from cortex_server.snapshots import Snapshots
from cortex_server.store import Store
from cortex_server.tailer import Tailer


@dataclass(frozen=True)
class Services:
    """tailer: publishes what any process commits; None on SQLite, where the store does."""

    config: Config
    clock: Clock
    store: Store
    bus: Bus
    live: Growing
    last_used: LastUsed
    snapshots: Snapshots
    pages: Pages
    streams: StreamRegistry
    metrics: Metrics
    epoch: str
    version: str
    grants: RecentGrants = field(default_factory=RecentGrants)
    tailer: Tailer | None = None

    @property
    def stale(self) -> bool:
        """Whether this process can no longer tell what is new: nothing may be called current."""
        return self.tailer is not None and self.tailer.stale
