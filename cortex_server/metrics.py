"""What the server counts, for Prometheus."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # set where several workers add up
_LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Metrics:
    """One registry for each application. Also what the bus reports to."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.streams = Gauge(
            "cortex_streams", "Open event streams.", ["scope"], registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.streams_refused = Counter(
            "cortex_streams_refused", "Streams answered with overload.", registry=self.registry
        )
        self.disconnects = Counter(
            "cortex_stream_disconnects", "Ended streams.", ["cause"], registry=self.registry
        )
        self.overflows = Counter(
            "cortex_queue_overflows", "Times that a subscriber's queue was full and it fell back "
            "to the log.", registry=self.registry,
        )  # fmt: skip
        self.dropped = Counter(
            "cortex_queue_dropped_frames", "Live frames dropped from full queues; each was then "
            "read from the log.", registry=self.registry,
        )  # fmt: skip
        self.replayed = Counter(
            "cortex_replayed_events", "Events sent from the log.", registry=self.registry
        )
        self.sent = Counter(
            "cortex_sent_events", "Events queued for live streams.", registry=self.registry
        )
        self.resets = Counter(
            "cortex_stream_resets", "Cursors that could not be served.", ["reason"],
            registry=self.registry,
        )  # fmt: skip
        self.lagging = Gauge(
            "cortex_lagging_streams", "Streams that read the log now.", registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self.head = Gauge(
            "cortex_log_head", "Newest position.", registry=self.registry,
            multiprocess_mode="livemax",
        )  # fmt: skip
        self.write_latency = Histogram(
            "cortex_commit_to_write_seconds", "From the publishing of an event, which follows its "
            "commit, to the end of the round that wrote it to the live streams.",
            buckets=_LATENCY_S, registry=self.registry,
        )  # fmt: skip
        self.requests = Counter(
            "cortex_requests", "Answered requests.", ["method", "status"], registry=self.registry
        )
        self._answered: dict[tuple[str, int], Counter] = {}  # finding one by labels is slow

    def answered(self, method: str, status: int) -> None:
        """Count one answer."""
        if (method, status) not in self._answered:
            self._answered[method, status] = self.requests.labels(method, str(status))
        self._answered[method, status].inc()

    def offered(self, frames: int) -> None:
        self.sent.inc(frames)

    def text(self) -> bytes:
        """All of it in Prometheus' format, added up over the workers of this server."""
        if DIRECTORY not in os.environ:
            return generate_latest(self.registry)
        _forget_dead_workers(Path(os.environ[DIRECTORY]))
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)

    def written(self, late_s: float) -> None:
        self.write_latency.observe(max(0.0, late_s))

    def overflowed(self, streams: int, frames: int) -> None:
        self.overflows.inc(streams)
        self.dropped.inc(frames)


def _forget_dead_workers(directory: Path) -> None:
    """Drop the gauges of workers that are gone; what they counted stays."""
    for file in directory.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not _lives(pid):
            mark_process_dead(pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
