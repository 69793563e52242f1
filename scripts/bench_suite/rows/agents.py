"""Row agents: ten agents that stream text at once, as their runners send it."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from scripts.bench_suite.cortex import PROJECT, Cortex
from scripts.bench_suite.load import Crowd, Loop, Sender, mark, no_collector
from scripts.bench_suite.program import Unavailable
from scripts.bench_suite.rows.fanout import Plan, percentile

AGENTS = 10
DELTAS_PER_S = 400  # of each
EVERY_S = 0.05  # between two requests of one agent, and longer when the last one takes longer
SUBSCRIBERS = 10
WORD = "word "
DRAIN_S = 3.0


@dataclass
class Agent:
    """One session with one message that grows. The last delta of each request has the mark."""

    target: Cortex
    session: str
    sender: Sender
    text: list[str] = field(default_factory=list)
    length: int = 0
    told: int = 0  # deltas
    due: int = 0

    @property
    def path(self) -> str:
        return f"/api/sessions/{self.session}/messages/m"

    def request(self, _number: int) -> bytes:
        """All the deltas that are due by now."""
        count, self.told = self.due - self.told, self.due
        words = [WORD] * (count - 1) + [mark().decode() + " "]
        deltas = []
        for word in words:
            deltas.append({"message": "m", "part": 0, "offset": self.length, "text": word})
            self.length += len(word)
        self.text += words
        body = json.dumps({"deltas": deltas}).encode()
        return self.target.request("POST", f"/api/sessions/{self.session}/deltas", body)

    def put(self, status: str) -> Any:
        """Put the whole message; returns it as the server has it."""
        part = {"type": "text", "text": "".join(self.text), "status": status}
        return self.target.api("PUT", self.path, role="assistant", parts=[part])

    def is_whole(self, message: Any) -> bool:
        return bool(message["parts"][0]["text"] == "".join(self.text))


def row_agents(target: Cortex, plan: Plan) -> dict[str, Any]:
    """Processor time, rows of the log, how late text is at a subscriber, and that it is whole."""
    loop = Loop()
    agents = [start(target, loop) for _ in range(AGENTS)]
    crowd = Crowd(loop, target.port, target.stream("&deltas=*"))
    if not crowd.connect(SUBSCRIBERS):
        raise Unavailable(f"only {crowd.greeted} of {SUBSCRIBERS} streams began")
    crowd.settle()
    before, used = _head(target), target.cpu_s()
    with no_collector():
        began, own = time.monotonic(), time.process_time()
        _stream(loop, agents, plan.seconds)
        taken_s = time.monotonic() - began
        requests = sum(agent.sender.done for agent in agents)
        loop.until(lambda: crowd.received >= requests * SUBSCRIBERS, DRAIN_S)
        wall, own = time.monotonic() - began, time.process_time() - own
    used, rows = target.cpu_s() - used, _head(target) - before
    shown = sum(agent.is_whole(target.api("GET", agent.path)) for agent in agents)
    final = sum(agent.is_whole(agent.put("complete")) for agent in agents)
    answers = [taken for agent in agents for taken in agent.sender.times_s]
    figures = {
        "deltas_per_s": sum(agent.told for agent in agents) / taken_s,
        "requests_per_s": requests / taken_s,
        "server_cpu": used / wall,
        "client_cpu": own / wall,
        "p50_ms": percentile(crowd.latencies_us, 0.50) / 1000,
        "p99_ms": percentile(crowd.latencies_us, 0.99) / 1000,
        "lost": 1 - crowd.received / max(requests * SUBSCRIBERS, 1),
        "answer_p99_ms": percentile(answers, 0.99) * 1000,
        "log_rows": rows,
        "whole": shown / AGENTS,
        "whole_at_the_end": final / AGENTS,
    }
    loop.close()
    return figures


def start(target: Cortex, loop: Loop) -> Agent:
    """An agent whose message has begun."""
    agent = Agent(target, target.session(), Sender(loop, target.port, lambda _number: b"", 1))
    agent.sender.make = agent.request
    agent.put("streaming")
    return agent


def _stream(loop: Loop, agents: list[Agent], seconds: float) -> None:
    """Let all of them say so many words a second; returns when the last answer has come."""
    began = time.monotonic()
    next_at = [began + EVERY_S * number / len(agents) for number in range(len(agents))]
    while (now := time.monotonic()) < began + seconds:
        for number, agent in enumerate(agents):
            if now >= next_at[number] and agent.sender.idle:
                agent.due = int((now - began) * DELTAS_PER_S) + 1
                next_at[number] = max(next_at[number] + EVERY_S, now)
                if agent.due > agent.told:
                    agent.sender.send()
        loop.turn(0.002)
    loop.until(lambda: all(agent.sender.idle for agent in agents), DRAIN_S)


def _head(target: Cortex) -> int:
    return int(target.api("GET", f"/api/projects/{PROJECT}/board")["head"])
