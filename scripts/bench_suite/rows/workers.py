"""Row workers: commit on one process, arrival on another, through PostgreSQL.

Two servers on one database: who listens asks the first, who writes asks the second, so no event
takes the short way.
"""

import time
from typing import Any

from scripts.bench_suite import cortex, machine, postgres
from scripts.bench_suite.install import Home
from scripts.bench_suite.load import Loop, Sender
from scripts.bench_suite.program import free_port
from scripts.bench_suite.rows.fanout import Plan, Stage
from scripts.bench_suite.rows.mutations import measure

RATE = 50.0
SUBSCRIBERS = 100


def row_workers(home: Home, plan: Plan) -> dict[str, Any]:
    """ms from just before the request on one to arrival on the other, and what it costs both."""
    with postgres.database(home.run_directory("postgres")) as url:
        settings = {"CORTEX_DATABASE_URL": url}
        found: dict[str, Any] = {
            "counter_commits_per_s": postgres.counter_commits_per_s(url, plan.seconds / 2)
        }
        with cortex.start(home, **settings) as reading:
            found["comment_one_worker"] = measure(reading, reading.publish, plan)
            writing = cortex.Cortex("writing", home.run_directory("writing"), free_port())
            with writing:
                writing.serve(machine.cores()[1], **settings)
                writing.token = reading.token
                found |= _across(reading, writing, plan)
        return found


def _across(reading: cortex.Cortex, writing: cortex.Cortex, plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = {}
    publish = writing.commenting(reading.ticket, reading.comment_bytes)
    with Stage(reading, SUBSCRIBERS) as stage:
        stage.sender.close()
        stage.sender = Sender(stage.loop, writing.port, publish)
        stage.measure(lambda: stage.sender.pace(20, 0.5))
        before = writing.cpu_s()
        across = stage.measure(lambda: stage.sender.pace(RATE, plan.seconds))
        found |= {f"across_{name}": across[name] for name in ("p50_ms", "p99_ms", "lost")}
        found["across_rate"] = RATE
        found["writing_cpu"] = (writing.cpu_s() - before) / across["seconds"]
    found["tailer_us_per_event"] = _tailer_us(reading, writing, publish, plan)
    return found


def _tailer_us(reading: cortex.Cortex, writing: cortex.Cortex, publish: Any, plan: Plan) -> float:
    """What following the log costs a process to which nobody listens, above being idle."""
    idle_before, start = reading.cpu_s(), time.monotonic()
    time.sleep(plan.seconds / 2)
    idle = (reading.cpu_s() - idle_before) / (time.monotonic() - start)
    loop = Loop()
    sender = Sender(loop, writing.port, publish)
    before, start = reading.cpu_s(), time.monotonic()
    sender.flood_for(plan.seconds)
    used = reading.cpu_s() - before - idle * (time.monotonic() - start)
    loop.close()
    return max(used, 0.0) * 1e6 / max(sender.done, 1)
