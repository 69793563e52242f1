"""Row D: what an idle stream costs in memory, and whether an event still reaches all of them."""

import time
from typing import Any

from scripts.bench_suite import machine
from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.rows.fanout import Plan, Stage
from scripts.bench_suite.target import Target

REST_S = 1.0
OTHER_DESCRIPTORS = 500


def row_d(target: Target, plan: Plan) -> dict[str, Any]:
    """KiB of resident memory, of all its processes, for each of so many idle streams."""
    found: dict[str, Any] = {}
    with Stage(target, 20) as stage:  # what is only made once does not count
        base, connected = target.memory_kib(), 20
        found["base_mib"] = base / 1024
        for wanted in plan.idle:
            if wanted > machine.allow_descriptors() - OTHER_DESCRIPTORS:
                found[f"missing_{wanted}"] = "the limit of open files is too low"
                continue
            try:
                _connect(stage, target, wanted - connected)
            except (Unavailable, OSError) as error:
                found[f"missing_{wanted}"] = str(error) or type(error).__name__
                break
            connected = wanted
            found[f"kib_{wanted}"] = (target.memory_kib() - base) / (wanted - 20)
            stage.subscribers = wanted
            reach = stage.measure(lambda: stage.sender.flood(1))
            found[f"reach_ms_{wanted}"] = reach["p99_ms"]
            found[f"lost_{wanted}"] = reach["lost"]
    return found


def _connect(stage: Stage, target: Target, count: int) -> None:
    begun = stage.crowd.connect(count, 100, greets=target.greets)
    if not begun or not stage.all_receive(len(stage.crowd.members)):
        crowd = stage.crowd
        raise Unavailable(f"only {crowd.greeted - crowd.lost} of {len(crowd.members)} streams live")
    stop = time.monotonic() + REST_S
    while time.monotonic() < stop:
        stage.loop.turn()
