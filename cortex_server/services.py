"""What the running application is made of; put together in app.py, nowhere else."""

from dataclasses import dataclass

from cortex_server.bus import Bus
from cortex_server.clock import Clock
from cortex_server.config import Config
from cortex_server.domains.last_used import LastUsed
from cortex_server.domains.live import LiveText
from cortex_server.metrics import Metrics
from cortex_server.registry import StreamRegistry
from cortex_server.snapshots import Snapshots
from cortex_server.store import Store


@dataclass(frozen=True)
class Services:
    config: Config
    clock: Clock
    store: Store
    bus: Bus
    live: LiveText
    last_used: LastUsed
    snapshots: Snapshots
    streams: StreamRegistry
    metrics: Metrics
    epoch: str
    version: str
