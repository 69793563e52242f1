"""The runner: registers, keeps its leases, claims while there is room, and passes commands on.

Nothing of it outlives its lease: what the server has not confirmed in time is killed here first.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner import lease, orphans
from cortex_cli.runner.jobs import AttemptJob
from cortex_cli.runner.lease import Lease
from cortex_cli.runner.merge_jobs import MergeJob
from cortex_cli.runner.orders import Orders
from cortex_cli.runner.pulls import EVERY_S as PULLS_EVERY_S
from cortex_cli.runner.pulls import Pulls
from cortex_cli.runner.workshop import Identity, Workshop

LOOK_EVERY_S = 2.0
CLAIM_EVERY_S = 5.0  # unless something happens that may bring work: each is a write
REFRESH_EVERY_S = 30.0
BEAT_S = 4.0  # for one heartbeat
_FIRST_LEASE_S = 30.0  # until the server has told its own
_LONGEST_RETRY_S = 1.0
_KILLED_S = 5.0  # how long ends may take to be told after the second signal
_WAKING = (
    "attempt.started,attempt.status,permission.replied,message.created,batch.merging,project.*"
)

Job = AttemptJob | MergeJob


class Runner:
    """One runner. `run` is for one thread; `drain` and `kill` for every one, and for signals."""

    def __init__(self, shop: Workshop, identity: Identity, beats: sdk.CortexClient) -> None:
        """beats: a client for the heartbeats alone, which wait for nothing else."""
        self._shop = shop
        self._identity = identity
        self._beats = beats
        self._id = ""
        self._registered = False
        self._only: list[str] = []  # the keys of the projects that it was told to serve
        self._served: list[str] = []
        self._lease_s = _FIRST_LEASE_S
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._draining = threading.Event()
        self._killed = threading.Event()
        self._over = threading.Event()
        self._failure: sdk.CortexError | None = None
        self._claim_key: tuple[str, float] | None = None  # of a claim that had no answer yet
        self._orders = Orders(shop.client, self._job_of, self._wake.set)
        self._pulls = Pulls(shop, identity.name)
        self._refreshed_at = self._claimed_at = 0.0
        self._offline = False
        self._stream: sdk.EventStream | None = None

    def run(self) -> None:
        """Work until `drain`; nothing of it runs any more when this returns.

        Raises CortexError when the server does not take this runner (any more).
        """
        left = orphans.find(self._shop.journal, self._shop.tell)
        if not self._register_when_reachable():
            return
        for orphan in left:
            self._tell_of(orphan)
        threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (
                ("heartbeats", self._keep_leases),
                ("events", self._follow_events),
                ("pull requests", self._follow_pulls),
            )
        ]
        for thread in threads:
            thread.start()
        try:
            woken = True
            while not self._draining.is_set():
                self._wake.clear()  # before looking: what comes meanwhile is looked at again
                self._look(woken)
                woken = self._wake.wait(LOOK_EVERY_S)
            self._end_jobs()
        finally:
            self._over.set()
            if self._stream is not None:
                self._stream.close()
        self._leave()
        if self._failure is not None:
            raise self._failure

    def drain(self) -> None:
        """Claim nothing more, end what runs, and leave."""
        self._draining.set()
        self._wake.set()

    def kill(self) -> None:
        """End what runs at once."""
        self._killed.set()
        self.drain()

    # The server's view of this runner

    def _register_when_reachable(self) -> bool:
        """Register; False when it is to leave before that worked.

        Raises NotFound for a project that it was told to serve and that does not exist.
        """
        pause = 0.2
        while not self._draining.is_set():
            try:
                self._only = [self._key_of(name) for name in self._identity.projects]
                self._register()
                return True
            except sdk.CortexError as error:
                if not error.retryable or isinstance(error, sdk.Untrusted):
                    raise
                self._unreachable(error)
            self._draining.wait(pause)
            pause = min(2 * pause, LOOK_EVERY_S)
        return False

    def _key_of(self, project: str) -> str:
        """Return a project's key as the server writes it; any case of letters may be given."""
        try:
            return str(self._shop.client.get(sdk.url_path("api", "projects", project))["key"])
        except sdk.NotFound:  # to a token that is limited to others the server does not name it
            self._shop.tell("error", {"text": f"Project {project} cannot be served."})
            raise

    def _register(self) -> None:
        """Say what this runner offers, and for which projects: those whose repository is here."""
        projects = self._shop.client.paginate("/api/projects", limit=500)
        served = self._shop.repositories.served(
            project for project in projects if not self._only or project["key"] in self._only
        )
        if self._registered and served == self._served:
            return
        if not served:
            self._serve_nothing()
            return
        body: dict[str, Any] = {
            "name": self._identity.name,
            "host": self._identity.host,
            "version": self._identity.version,
            "parallel": self._identity.parallel,
            "projects": served,
            "agents": [agent.wire() for agent in self._shop.agents.values()],
        }
        found = self._shop.client.post(
            "/api/runners", {**body, "id": self._id} if self._id else body
        )
        self._id, self._served, self._registered = str(found["id"]), served, True
        self._reachable()
        self._shop.tell("runner.online", {"runner": self._identity.name, "projects": served})

    def _serve_nothing(self) -> None:
        """No project has its repository here (any more): claim nothing until one has."""
        if self._served or not self._refreshed_at:
            self._shop.tell("runner.online", {"runner": self._identity.name, "projects": []})
        self._served = []

    def _leave(self) -> None:
        if not self._registered:
            return
        try:
            self._shop.client.post(sdk.url_path("api", "runners", self._id, "leave"))
        except sdk.CortexError as error:
            self._shop.tell("error", {"text": f"The server does not know that it left: {error}"})
        self._shop.tell("runner.offline", {"runner": self._identity.name})

    def _tell_of(self, orphan: orphans.Orphan) -> None:
        try:
            orphans.report(self._shop.client, self._shop.journal, orphan)
        except sdk.CortexError as error:  # its lease runs out; it stays in the journal until then
            self._shop.tell("error", {"text": f"{orphan.record.ticket}: {error}"})

    # Leases

    def _keep_leases(self) -> None:
        pause = 0.0
        while not self._over.wait(pause):
            try:
                pause = self._beat()
            except (KeyError, TypeError, ValueError) as error:  # no answer of a Cortex server
                self._shop.tell("error", {"text": f"The heartbeat's answer is wrong: {error!r}"})
                pause = _LONGEST_RETRY_S

    def _beat(self) -> float:
        """Renew all leases once; return after how many seconds to do it again."""
        since = lease.now()
        jobs = self._renewable()
        if not self._registered:
            return _LONGEST_RETRY_S
        named: dict[str, list[dict[str, Any]]] = {"attempt": [], "batch": []}
        for job in jobs:
            named[job.kind].append({"id": job.id, "generation": job.generation})
        body = {"attempts": named["attempt"], "batches": named["batch"]}
        path = sdk.url_path("api", "runners", self._id, "heartbeat")
        try:
            answer = self._beats.post(path, body)
        except sdk.NotFound:  # the server has forgotten this runner
            self._registered = False
            self._wake.set()
            return _LONGEST_RETRY_S
        except sdk.CortexError as error:
            return self._beat_failed(error)
        self._reachable()
        self._lease_s = float(answer["lease_s"])
        self._beats.timeout = min(BEAT_S, self._lease_s / 4)  # several must fit into a lease
        self._take_answer(jobs, answer, since)
        return max(self._lease_s / 3 - (lease.now() - since), 0.0)

    def _renewable(self) -> list[Job]:
        """Return the jobs whose lease holds, and give up the others.

        Those are dead by now; the server, which may not have noticed, must not renew them.
        """
        held = []
        for job in self._all_jobs():
            if job.lease.over:
                self._give_up(job, "the server could not be reached until the lease ran out")
            else:
                held.append(job)
        return held

    def _take_answer(self, jobs: Sequence[Job], answer: Mapping[str, Any], since: float) -> None:
        renewed, lost = set(answer["renewed"]), set(answer["lost"])
        for job in jobs:
            if job.id in renewed:
                job.renewed(since, self._lease_s)
            elif job.id in lost:
                self._give_up(job, "the server has given it up")
        if answer.get("commands"):
            self._wake.set()

    def _give_up(self, job: Job, why: str) -> None:
        """Let go of a claim; killing takes a moment, and the other leases must not wait for it."""
        over = job.lease.over
        threading.Thread(target=job.lose if over else job.missed, args=(why,), daemon=True).start()

    def _beat_failed(self, error: sdk.CortexError) -> float:
        if isinstance(error, sdk.NotAllowed):
            self._failure = error
            self.drain()
        self._unreachable(error)
        return min(self._lease_s / 10, _LONGEST_RETRY_S)

    # Work

    def _look(self, woken: bool) -> None:
        """Refresh what is offered, take commands, claim while there is room."""
        done = self._bury_done()
        for job in self._all_jobs():
            job.tick()
        due = woken or done or lease.now() - self._claimed_at >= CLAIM_EVERY_S
        try:
            if not self._registered or lease.now() - self._refreshed_at >= REFRESH_EVERY_S:
                self._register()
                self._refreshed_at = lease.now()
            if not self._registered:
                return
            self._orders.look(self._id)
            while due and self._has_room():
                self._claimed_at = lease.now()
                if not self._claim():
                    break
        except sdk.NotFound:  # the server has forgotten this runner
            self._registered = False
        except sdk.NotAllowed as error:
            self._failure = error
            self.drain()
        except sdk.CortexError as error:
            self._unreachable(error)

    def _has_room(self) -> bool:
        free = len(self._all_jobs()) < self._identity.parallel
        return free and bool(self._served) and not self._draining.is_set()

    def _claim(self) -> bool:
        """Ask for work once; False when there is none.

        A claim without an answer may have taken effect: it is repeated as the same one, and its
        lease counts from the first time it was sent.
        """
        key, since = self._claim_key or ("", 0.0)
        if lease.now() - since > self._lease_s / 3:  # what it may have got would be too old
            key, since = str(uuid.uuid4()), lease.now()
        self._claim_key = (key, since)
        path = sdk.url_path("api", "runners", self._id, "claim")
        try:
            answer = self._shop.client.post(path, {}, idempotency_key=key)
        except sdk.Refused as error:
            if not error.retryable:
                self._claim_key = None
            raise
        self._claim_key = None
        claim = answer["claim"]
        if claim is None:
            return False
        held = Lease(since, float(answer["lease_s"]))
        if held.over:
            return True  # too late: it is never begun, and the server says that it is lost
        job = (MergeJob if claim["kind"] == "batch" else AttemptJob)(self._shop, claim, held)
        with self._lock:
            self._jobs[job.id] = job
        job.start()
        return True

    def _all_jobs(self) -> list[Job]:
        with self._lock:
            return [job for job in self._jobs.values() if not job.done.is_set()]

    def _job_of(self, attempt: str) -> Job | None:
        with self._lock:
            return self._jobs.get(attempt)

    def _bury_done(self) -> bool:
        """Forget the jobs that are done; say whether there were any."""
        with self._lock:
            done = [job for job in self._jobs.values() if job.done.is_set()]
            for job in done:
                del self._jobs[job.id]
        for job in done:
            if job.kind == "attempt":
                try:
                    self._pulls.add(job.id)
                except sdk.CortexError:
                    self._pulls.ask_again()
        return bool(done)

    def _end_jobs(self) -> None:
        """End everything, and return when it is told, or when nothing of it is ours any more."""
        running = self._all_jobs()
        self._shop.tell("runner.drain", {"running": len(running)})
        for job in running:
            why = "The runner was stopped; the worktree is kept."
            threading.Thread(target=job.stop, args=(why,), daemon=True).start()
        killed_at: float | None = None
        while running := self._all_jobs():
            if self._killed.is_set() and killed_at is None:
                killed_at = lease.now()
                for job in running:
                    threading.Thread(target=job.stop, args=("", 0.0), daemon=True).start()
            if killed_at is not None and lease.now() - killed_at > _KILLED_S:
                for job in running:
                    job.lose("the runner was ended")
            running[0].done.wait(0.1)

    # What wakes it

    def _follow_events(self) -> None:
        """Wake up for news. Only a convenience: it looks every few seconds anyway."""
        stream = self._shop.client.events(types=_WAKING, snapshot=False)
        with stream:
            self._stream = stream
            for value in stream:
                if self._over.is_set():
                    return
                if isinstance(value, sdk.Event) and not self._concerns(value):
                    continue
                self._wake.set()

    def _concerns(self, event: sdk.Event) -> bool:
        payload = event.payload
        match event.type:
            case "attempt.status":
                own = payload.get("runner") == self._identity.name
                return payload.get("status") != "running" or not own
            case "message.created":
                return payload.get("role") == "user"
            case "project.created" | "project.updated":
                self._refreshed_at = 0.0
        return True

    def _follow_pulls(self) -> None:
        pause = 1.0
        while not self._over.wait(pause):
            pause = PULLS_EVERY_S
            try:
                self._pulls.look(self._over)
            except sdk.CortexError:
                continue  # said by who keeps the leases

    def _unreachable(self, error: sdk.CortexError) -> None:
        if not self._offline:
            self._offline = True
            self._shop.tell("server.lost", {"text": str(error)})

    def _reachable(self) -> None:
        if self._offline:
            self._offline = False
            self._shop.tell("server.back", {})
