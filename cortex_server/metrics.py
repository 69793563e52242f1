"""What the server counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Metrics:
    """One registry for each application. Also what the bus reports to."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.streams = Gauge(
            "cortex_streams", "Open event streams.", ["scope"], registry=self.registry
        )
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
        self.sent = Counter("cortex_sent_events", "Events sent live.", registry=self.registry)
        self.resets = Counter(
            "cortex_stream_resets", "Cursors that could not be served.", ["reason"],
            registry=self.registry,
        )  # fmt: skip
        self.lagging = Gauge(
            "cortex_lagging_streams", "Streams that read the log now.", registry=self.registry
        )
        self.head = Gauge("cortex_log_head", "Newest position.", registry=self.registry)
        self.write_latency = Histogram(
            "cortex_commit_to_write_seconds", "From the publishing of an event, which follows its "
            "commit, to the kernel having taken its frame for one live subscriber.",
            buckets=_LATENCY_S, registry=self.registry,
        )  # fmt: skip
        self.requests = Counter(
            "cortex_requests", "Answered requests.", ["method", "status"], registry=self.registry
        )

    def overflowed(self, frames: int) -> None:
        self.overflows.inc()
        self.dropped.inc(frames)
