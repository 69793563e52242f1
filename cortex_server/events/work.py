"""The objects of agents at work, as they go over the wire; the rules are those of `objects`."""

from typing import Any, Literal

from cortex_server.events.objects import Actor, Wire

AttemptStatus = Literal[
    "queued", "starting", "running", "waiting", "stopping",
    "succeeded", "failed", "cancelled", "lost",
]  # fmt: skip
AttemptOutcome = Literal["succeeded", "failed", "cancelled"]
Stage = Literal["preparing", "executing", "committing", "pushing", "opening_pr", "done"]
LogKind = Literal["text", "tool", "error", "system"]
TodoStatus = Literal["pending", "in_progress", "completed", "cancelled"]
PrState = Literal["open", "merged", "closed"]
PermissionKind = Literal["permission", "question"]
PermissionState = Literal["open", "answered", "withdrawn"]
RunnerStatus = Literal["online", "offline"]
InstanceStatus = Literal["starting", "running", "unhealthy", "error", "stopped"]
Link = Literal["connecting", "connected", "disconnected"]
BatchMode = Literal["sequential", "parallel"]
OnConflict = Literal["skip", "fail"]
BatchStatus = Literal["pending", "running", "merging", "completed", "failed", "cancelled"]
BatchTicketStatus = Literal[
    "pending", "running", "completed", "merged", "failed", "skipped", "cancelled"
]
CommandKind = Literal["stop", "answer", "prompt", "abort"]
CallStatus = Literal["waiting", "delivered", "failed"]
Change = Literal["created", "updated", "deleted"]


class Agent(Wire):
    """A program that can work. runners: the names of those that offer it."""

    id: str
    name: str
    adapter: str
    capabilities: list[str]
    runners: list[str]
    revision: int
    created_at: str
    updated_at: str


class ProfileOptions(Wire):
    """env: names of variables of the runner that the agent gets."""

    model: str | None
    prompt: str | None
    args: list[str]
    env: list[str]


class Profile(Wire):
    """A named set of options for an agent. project: the only one, null for all."""

    id: str
    name: str
    agent: str
    project: str | None
    options: ProfileOptions
    revision: int
    created_at: str
    updated_at: str


class Runner(Wire):
    """agents: the names of those it offers · projects: the only ones it serves, null for all."""

    id: str
    name: str
    host: str
    version: str
    parallel: int
    agents: list[str]
    projects: list[str] | None
    status: RunnerStatus
    seen_at: str
    revision: int
    created_at: str
    updated_at: str


class Todo(Wire):
    text: str
    status: TodoStatus


class GitSummary(Wire):
    """ahead, behind: commits against the base · changed: files, committed or not."""

    branch: str | None
    head: str | None
    ahead: int
    behind: int
    changed: int


class PullRequest(Wire):
    """url: null where a branch was merged without one."""

    state: PrState
    url: str | None
    number: int | None


class Attempt(Wire):
    """One run of an agent on a ticket.

    generation: of the claim; writes of an older one are refused · session: the root of its
    conversation · prompt: what was said beside the ticket · reason: why it ended so.
    """

    id: str
    project: str
    ticket: str
    number: int
    agent: str
    profile: str | None
    status: AttemptStatus
    stage: Stage | None
    progress: str | None
    prompt: str | None
    base: str | None
    branch: str | None
    worktree: str | None
    session: str | None
    runner: str | None
    generation: int
    todos: list[Todo]
    git: GitSummary | None
    pr: PullRequest | None
    compare_url: str | None
    batch: str | None
    retry_of: str | None
    reason: str | None
    exit_code: int | None
    started_by: Actor
    revision: int
    created_at: str
    updated_at: str
    started_at: str | None
    ended_at: str | None


class LogEntry(Wire):
    """number: counts from 1 within the attempt."""

    attempt: str
    number: int
    kind: LogKind
    text: str
    tool: str | None
    at: str


class ChangedFile(Wire):
    """status: added, modified, deleted, renamed, untracked or conflicted."""

    path: str
    status: str


class GitCommit(Wire):
    attempt: str
    sha: str
    subject: str
    author: str
    at: str
    files: int
    insertions: int
    deletions: int


class GitPush(Wire):
    attempt: str
    remote: str
    branch: str
    sha: str
    at: str


class Option(Wire):
    """One of the answers that are offered."""

    id: str
    label: str
    description: str | None


class Permission(Wire):
    """A question that an agent asks a person.

    external_id: the agent's own name for it · multiple: several options may be chosen · free_text:
    words of one's own are an answer, too · choices, text: the answer.
    """

    id: str
    project: str
    ticket: str
    attempt: str | None
    session: str
    external_id: str | None
    kind: PermissionKind
    title: str
    detail: str
    options: list[Option]
    multiple: bool
    free_text: bool
    state: PermissionState
    choices: list[str] | None
    text: str | None
    asked_by: Actor
    answered_by: Actor | None
    revision: int
    created_at: str
    updated_at: str


class Instance(Wire):
    """A server of an agent that a runner keeps. link: the runner's event connection to it."""

    id: str
    project: str
    ticket: str
    attempt: str
    runner: str
    status: InstanceStatus
    url: str | None
    error: str | None
    link: Link | None
    revision: int
    created_at: str
    updated_at: str


class BatchTicket(Wire):
    """files: those in conflict · commit: of the merge into the batch's branch."""

    batch: str
    ticket: str
    title: str
    status: BatchTicketStatus
    attempt: str | None
    error: str | None
    files: list[str]
    commit: str | None


class Batch(Wire):
    """Several tickets that are run together. limit: attempts at a time, null for the project's."""

    id: str
    project: str
    name: str
    mode: BatchMode
    limit: int | None
    stop_on_failure: bool
    on_conflict: OnConflict
    merge: bool
    agent: str
    profile: str | None
    prompt: str | None
    status: BatchStatus
    tickets: list[BatchTicket]
    branch: str | None
    commit: str | None
    pr_url: str | None
    compare_url: str | None
    reason: str | None
    runner: str | None
    generation: int
    created_by: Actor
    revision: int
    created_at: str
    updated_at: str
    started_at: str | None
    ended_at: str | None


class Command(Wire):
    """What a runner is to do; it stays in the queue until the runner has said that it did."""

    id: str
    runner: str
    attempt: str
    kind: CommandKind
    payload: dict[str, Any]
    created_at: str


class Memory(Wire):
    """Something that a project's agents are to know, in Markdown."""

    project: str
    name: str
    body: str
    author: Actor
    revision: int
    created_at: str
    updated_at: str


class Trigger(Wire):
    """on: {"types", "filter"} or {"every_s"} or {"cron"} · action: {"kind", …}, without secrets.

    fired: how often · last_error: why it last did not do what it is for, null since it did.
    """

    id: str
    project: str
    name: str
    enabled: bool
    on: dict[str, Any]
    action: dict[str, Any]
    fired: int
    last_fired_at: str | None
    last_error: str | None
    next_at: str | None
    created_by: Actor
    revision: int
    created_at: str
    updated_at: str


class NewTrigger(Trigger):
    """secret: what calls are signed with; null when it calls nobody. Shown this once."""

    secret: str | None


class TriggerCall(Wire):
    """A call that has left, or is to leave. answer: of the last try, or why there was none."""

    id: str
    trigger: str
    url: str
    status: CallStatus
    tries: int
    next_at: str | None
    answer: str | None
    created_at: str
    ended_at: str | None
