"""One attempt, from its claim to its end.

It is told as ended only when all of its processes are dead. What it leaves in its worktree stays
there, committed or not; its token and its private home do not outlive it.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cortex_cli import sdk
from cortex_cli.runner import adapters, environment, orphans, worktrees
from cortex_cli.runner.adapters import Outcome, Run
from cortex_cli.runner.delivery import Delivery
from cortex_cli.runner.errors import GroupError, RunnerError
from cortex_cli.runner.git import Repository
from cortex_cli.runner.group import Group
from cortex_cli.runner.journal import Record
from cortex_cli.runner.lease import Lease
from cortex_cli.runner.outbox import Outbox
from cortex_cli.runner.programs import within
from cortex_cli.runner.prompts import prompt_for
from cortex_cli.runner.redaction import Redactor
from cortex_cli.runner.report import HttpReport
from cortex_cli.runner.watching import Watcher
from cortex_cli.runner.workshop import Workshop
from cortex_cli.runner.worktrees import Worktree

_PREPARE_S = 300.0
_STARTED_S = 60.0
_ASK_S = 5.0
_AGAIN_S = 1.0


class Lost(Exception):
    """The claim is not ours any more: nothing can be told of the attempt."""


class AttemptJob:
    """Runs one claimed attempt in a thread of its own. Every method is for every thread.

    claim: the answer of the server's `claim`. lease: of the claim; who renews it calls `renewed`.
    done: set when nothing of it is left here.
    """

    kind = "attempt"

    def __init__(self, shop: Workshop, claim: Mapping[str, Any], lease: Lease) -> None:
        self._shop = shop
        self._claim = claim
        self.attempt: Mapping[str, Any] = claim["attempt"]
        self.id = str(self.attempt["id"])
        self.generation = int(self.attempt["generation"])
        self.lease = lease
        self.done = threading.Event()
        self._lock = threading.RLock()
        self._group: Group | None = None
        self._run: Run | None = None
        self._started = threading.Event()
        self._stopped: str | None = None  # why; "" when the server knows it
        self._lost: str | None = None
        self._ending = False  # all of it is dead, and the end is on its way
        self._told = threading.Event()
        self._outbox = Outbox(shop.client, self.name, over=self.lose, complain=self._complain)
        self.report: HttpReport | None = None
        self._record = Record(
            self.id,
            self.generation,
            "attempt",
            str(self.attempt["ticket"]),
            str(self.attempt["project"]),
            "",
        )

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.attempt['ticket']}/{self.attempt['number']}"

    @property
    def worktree(self) -> Path | None:
        return Path(self._record.worktree) if self._record.worktree else None

    def start(self) -> None:
        threading.Thread(target=self._live, name=f"attempt {self.name}", daemon=True).start()

    def renewed(self, since: float, lease_s: float) -> None:
        """Let it live on: the server has confirmed the lease."""
        self.lease.renew(since, lease_s)
        with self._lock:
            if self._group is not None and self._lost is None:
                self._group.extend(self.lease.deadline)

    def lose(self, why: str) -> None:
        """Give it up: another one may have it. Its processes are killed, nothing more is told."""
        with self._lock:
            if self._lost is not None or self._told.is_set() or self.done.is_set():
                return
            self._lost = why
        self._outbox.abandon()
        self._end_processes(grace_s=0.0)

    def tick(self) -> None:
        """Say again what has to be said now and then; to be called every few seconds."""
        if self.report is not None:
            self.report.repeat()

    def missed(self, why: str) -> None:
        """Give it up, as a heartbeat's answer says; one whose end is on its way is no loss."""
        if not self._ending:
            self.lose(why)

    def stop(self, why: str = "", grace_s: float | None = None) -> None:
        """End the agent; return when all of its processes are dead. why: "" when it is known."""
        with self._lock:
            if self._stopped is None:
                self._stopped = why
        self._end_processes(grace_s)

    def obey(self, command: Mapping[str, Any]) -> None:
        """Do what the server asks for. Raises RunnerError when it cannot be done."""
        payload = command.get("payload") or {}
        if command["kind"] == "stop":
            self.stop()
            return
        run, report = self._running()
        session = report.conversation.key_of(payload.get("session"))
        match command["kind"]:
            case "answer":
                question = str(payload.get("external_id") or payload.get("permission"))
                run.answer(question, payload.get("choices") or [], payload.get("text"))
                report.conversation.was_answered(question)
            case "prompt":
                run.prompt(str(payload.get("text") or ""), session)
            case "abort":
                run.abort(session)
            case unknown:
                raise RunnerError(f"This runner is too old for the command {unknown!r}.")

    def _running(self) -> tuple[Run, HttpReport]:
        if not self._started.wait(_STARTED_S) or self._run is None or self.report is None:
            raise RunnerError("The agent does not run.")
        return self._run, self.report

    def _end_processes(self, grace_s: float | None) -> None:
        with self._lock:
            run, group = self._run, self._group
        if run is not None and grace_s != 0.0:
            asking = threading.Thread(target=_ask_to_end, args=(run,), daemon=True)
            asking.start()
            asking.join(_ASK_S)
        if group is not None:
            try:
                group.stop(grace_s)
            except GroupError as error:
                self._complain(str(error))

    def _live(self) -> None:
        """All of it; whatever goes wrong ends the attempt with a reason."""
        try:
            outcome = self._outcome()
            self._tell("attempt.end", status=outcome.status, reason=outcome.reason)
            self._end(outcome)
        except Lost:
            kept = f"; its worktree stays: {self.worktree}" if self.worktree else ""
            self._tell("attempt.lost", reason=f"{self._lost or 'the lease ran out'}{kept}")
        except Exception:  # a bug of ours must not leave an attempt without an end
            self._complain(traceback.format_exc())
        finally:
            self._outbox.abandon()
            with contextlib.suppress(OSError):
                self._shop.journal.forget(self.id)
            self._started.set()
            self.done.set()
        if self._lost is not None and self.lease.over:
            why = f"The agent was ended: {self._lost}."
            orphans.end_late(self._shop.client, self.id, self.generation, why)

    def _outcome(self) -> Outcome:
        try:
            return self._work()
        except RunnerError as error:
            self._check()
            stage = "" if self._run else "The attempt could not be prepared: "
            found = Outcome("failed", f"{stage}{error}")
        except Lost:
            raise
        except Exception as error:  # an adapter's fault, or ours: the attempt must not stay running
            self._complain(traceback.format_exc())
            found = Outcome("failed", f"The runner failed: {type(error).__name__}: {error}")
        finally:
            self._clear_away()
        return found if self._stopped is None else Outcome("cancelled", self._stopped or None)

    def _work(self) -> Outcome:
        self._note()  # before anything of it is there
        home = self._make_home()
        self.report = report = HttpReport(
            self._outbox,
            Redactor(home.secrets),
            attempt=self.attempt,
            session=_id_of(self._claim.get("session")),
        )
        self._tell("attempt.start", agent=self.attempt["agent"])
        self._stage("preparing")
        if home.refused:
            names = ", ".join(home.refused)
            report.log("system", f"The profile names what an agent may not have: {names}")
        repository, worktree = self._make_worktree(report)
        tree = repository.at(worktree.path)
        watcher = Watcher(tree, report, base=worktree.base, upstream=worktree.upstream)
        outcome = self._execute(self._job(home, worktree), watcher)
        self._check()
        watcher.look()
        if self._stopped is not None:
            return Outcome("cancelled", self._stopped or None)
        if outcome.status == "succeeded":
            delivery = Delivery(self._claim, repository, worktree, report, watcher, self._stage)
            outcome = delivery.deliver(outcome, check=self._check, batch=self._batch_merges())
        self._stage("done")
        return outcome

    def _make_home(self) -> environment.Environment:
        access = environment.Access(
            self._shop.client.base_url,
            str(self._claim["token"]),
            str(self.attempt["project"]),
            str(self.attempt["ticket"]),
            _id_of(self._claim.get("session")),
            self.id,
            self._shop.client.ca_file,
        )
        options = (self._claim.get("profile") or {}).get("options") or {}
        home = environment.prepare(
            self._shop.journal.homes,
            access,
            agent=str(self.attempt["agent"]),
            names=options.get("env") or (),
            withheld=self._shop.withheld,
            environ=self._shop.environ,
        )
        self._note(home=str(home.home))
        return home

    def _job(self, home: environment.Environment, worktree: Worktree) -> adapters.Job:
        ticket, profile = self._claim["ticket"], self._claim.get("profile")
        return adapters.Job(
            self.attempt,
            ticket,
            profile,
            worktree.path,
            home.values,
            prompt_for(ticket, self.attempt, profile, self._memories()),
            self._shop.agent(str(self.attempt["agent"])).options,
            home.secrets,
        )

    def _make_worktree(self, report: HttpReport) -> tuple[Repository, Worktree]:
        project = self._claim["project"]
        repository = self._shop.repositories.open(project)
        self._note(repository=str(repository.path))
        worktree = worktrees.create(
            repository,
            root=self._shop.worktrees,
            project=str(project["key"]),
            key=str(self.attempt["ticket"]),
            number=int(self.attempt["number"]),
            title=str(self._claim["ticket"]["title"]),
            default_branch=project.get("default_branch"),
            base=self.attempt.get("base"),
            deadline=within(_PREPARE_S),
        )
        self._note(worktree=str(worktree.path), branch=worktree.branch, base=worktree.base)
        report.stage(
            "preparing", branch=worktree.branch, worktree=str(worktree.path), base=worktree.base
        )
        return repository, worktree

    def _execute(self, job: adapters.Job, watcher: Watcher) -> Outcome:
        """Run the agent to its end; all of its processes are dead afterwards."""
        self._check()
        group = Group(self.id, deadline=self.lease.deadline)
        try:
            self._note(guardian=group.guardian_pid)
            with self._lock:
                self._group = group
                group.extend(self.lease.deadline)  # it may have been renewed meanwhile
            self._check()
            if self._stopped is not None:
                return Outcome("cancelled")
            self._stage("executing", status="running")
            adapter = self._shop.agent(str(self.attempt["agent"])).adapter
            assert adapter is not None
            assert self.report is not None
            run = adapter.start(job, group, self.report)
            with self._lock:
                self._run = run
            self._started.set()
            watcher.start()
            if self._stopped is not None or self._lost is not None:
                self._end_processes(None)  # asked for before there was anything to end
            outcome = run.wait()
        finally:
            self._bury(group)
            watcher.stop()
        if group.ended_by == "deadline":
            self._check()  # a renewal that came after all lets it be told
            why = (
                "The server could not be reached, and the agent was ended before the lease ran out."
            )
            return Outcome("failed", why)
        return outcome

    def _bury(self, group: Group) -> None:
        """Return when all processes are dead, however long that takes: until then it goes on."""
        while True:
            try:
                group.stop()
                return
            except GroupError as error:
                self._complain(str(error))
                self._check()
                time.sleep(_AGAIN_S)

    def _clear_away(self) -> None:
        if self._record.home:
            environment.discard(Path(self._record.home))

    def _end(self, outcome: Outcome) -> None:
        """Tell the end, for as long as the lease is ours."""
        report = self.report or HttpReport(
            self._outbox, Redactor(), attempt=self.attempt, session=None
        )
        self._ending = True
        report.end(outcome, self._told.set)
        while not self._outbox.flush(time.monotonic() + min(max(self.lease.left_s, 0.1), 1.0)):
            if not self._told.is_set():
                self._check()

    def _check(self) -> None:
        """Raises Lost when the claim is not surely ours."""
        if self._lost is None and self.lease.over:
            self.lose("the lease ran out")
        if self._lost is not None:
            raise Lost(self._lost)

    def _stage(self, stage: str, **fields: Any) -> None:
        assert self.report is not None
        self.report.stage(stage, **fields)
        self._tell("attempt.stage", stage=stage)

    def _memories(self) -> list[Mapping[str, Any]]:
        path = sdk.url_path("api", "projects", str(self.attempt["project"]), "memory")
        try:
            return list(self._shop.client.paginate(path))
        except sdk.CortexError:  # an agent can begin without
            return []

    def _batch_merges(self) -> bool:
        """Say whether a batch brings the branch in, so that it needs no pull request of its own."""
        batch = self.attempt.get("batch")
        if not batch:
            return False
        try:
            found = self._shop.client.get(sdk.url_path("api", "batches", str(batch)))
        except sdk.CortexError:
            return True
        return bool(found["merge"])

    def _note(self, **fields: Any) -> None:
        self._record = replace(self._record, **fields)
        self._shop.journal.write(self._record)

    def _tell(self, what: str, **fields: Any) -> None:
        about = {"attempt": self.id, "ticket": self.attempt["ticket"], "name": self.name}
        self._shop.tell(what, {**about, **fields})

    def _complain(self, text: str) -> None:
        self._tell("error", text=text)


def _ask_to_end(run: Run) -> None:
    with contextlib.suppress(Exception):  # whatever it says, all of it is ended afterwards
        run.stop()


def _id_of(session: Any) -> str | None:
    """Return the id of the claim's session, which is told as an object or as its id."""
    if isinstance(session, Mapping):
        return str(session["id"])
    return None if session is None else str(session)
