"""Texts that the user writes in an editor: a ticket, a new one, what a prompt asks for.

The text comes back as a message. What cannot be stored is kept as a file, and offered again.
"""

from dataclasses import replace
from typing import Any

from cortex_cli import ticket_draft
from cortex_cli.board import actions, echoes, prompts, verbs
from cortex_cli.board.changes import Discard, EditText, Job, Kept, NotWritten, RowRefused, Written
from cortex_cli.board.messages import Effect
from cortex_cli.board.model import Menu, Model, Prompt
from cortex_cli.board.moves import Step, toast
from cortex_cli.board.status import not_yet
from cortex_cli.board.wire import Ticket
from cortex_cli.tickets_file import BadTicketFile

# --- opening


def edit(model: Model) -> Step:
    """Write the whole ticket; a draft of it that was kept is offered first."""
    ticket = model.ticket
    if ticket is None:
        return model, ()
    job = Job("ticket", ticket.id, ticket.key, ticket_draft.begin(_wire(ticket)), ticket)
    return _offer(model, job)


def new(model: Model) -> Step:
    """Write a new ticket, for the focused column."""
    project, ticket = model.project, model.ticket
    if model.everything:
        if ticket is None:
            return toast(model, "Of which project? Select a card of it.", refusal=True), ()
        project = model.project_of(ticket)
    return _offer(model, _new(project, model.focus, ""))


def _new(project: str, status: str, title: str) -> Job:
    start = ticket_draft.begin({**ticket_draft.NEW, "title": title, "status": status})
    return Job("new", status, "new", start, project=project)


def write(model: Model) -> Step:
    """Write in the editor what the prompt asks for."""
    prompt = model.overlay
    if not isinstance(prompt, Prompt):
        return model, ()
    if prompt.kind == "title":
        model, _ = prompts.abandon(model)
        job = _new(prompt.project or model.project, prompt.target, prompt.text.strip())
        return _offer(model, job)
    return _offer(model, Job(prompt.kind, prompt.target, prompt.kind, prompt.text))


def _wire(ticket: Ticket) -> dict[str, Any]:
    return {name: getattr(ticket, name) for name in ticket.__dataclass_fields__}


# --- drafts that were kept


def _offer(model: Model, job: Job) -> Step:
    """Open the editor, unless there is a draft already."""
    if model.cached:  # nothing can be stored yet, and the text would be lost
        return toast(model, not_yet(model), refusal=True), ()
    kept = model.kept.get(job.draft)
    if kept is None:
        return model, (EditText(job),)
    return _ask(model, kept, ("fresh", "Begin anew; the draft stays in its file")), ()


def keep(model: Model, job: Job, why: str) -> Model:
    """Keep a draft, tell where it is, and ask what shall become of it."""
    kept = Kept(job, why)
    model = replace(model, kept={**model.kept, job.draft: kept})
    if model.overlay is None:
        return _ask(model, kept)
    return toast(model, f"Your draft is kept in {job.path}: {why}", bad=True)


def _ask(model: Model, kept: Kept, *more: tuple[str, str]) -> Model:
    job = kept.job
    over = ", over what others changed" if job.over else ""
    key = "e" if job.kind == "ticket" else "N"
    items = (
        ("again", "Go on writing"),
        ("send", f"Send it as it is{over}"),
        *more,
        ("leave", f"Leave it: {key} offers it again"),
    )
    about = f"Your draft is kept in {job.path}\n{kept.why}"  # a small screen cuts the end
    title = "Draft of a new ticket" if job.kind == "new" else f"Draft of {job.name}"
    return replace(model, overlay=Menu("draft", title, items, target=job.draft, about=about))


def draft_chosen(model: Model, menu: Menu, value: str) -> Step:
    kept = model.kept.get(menu.target)
    if kept is None or value == "leave":
        return model, ()
    if value != "fresh":
        return model, (EditText(kept.job, look=value == "again"),)
    model = _unkept(model, kept.job)
    return new(model) if kept.job.kind == "new" else edit(model)


def _unkept(model: Model, job: Job) -> Model:
    left = {name: kept for name, kept in model.kept.items() if name != job.draft}
    return replace(model, kept=left)


# --- what was written


def written(model: Model, answer: Written) -> Step:
    """Store what was written; unchanged means cancelled."""
    job = answer.job
    if job.kind not in ("ticket", "new"):
        return _prompt_written(model, answer)
    if answer.unchanged:
        if job.draft in model.kept:
            return toast(model, "The draft is as it was, and kept."), ()
        return toast(model, "Nothing was changed."), (Discard(job.path),)
    try:
        return _store(model, job, answer.text)
    except BadTicketFile as error:
        return keep(model, job, f"It cannot be read. {str(error).capitalize()}."), ()


def _store(model: Model, job: Job, text: str) -> Step:
    """Send it. Raises BadTicketFile."""
    fields = ticket_draft.differences(job.start, text)
    if job.kind == "new":
        fields = ticket_draft.written(text)
        title, status = fields.pop("title"), fields.pop("status", job.target)
        return echoes.create(_unkept(model, job), job.project, title, status, fields, job)
    if not fields:
        model = toast(_unkept(model, job), "Nothing was changed.")
        return model, (Discard(job.path),)
    ticket = job.ticket
    assert ticket is not None
    if job.over:
        ticket = _current(model, ticket)
    row = verbs.row(model, ticket, fields)
    return verbs.send(_unkept(model, job), (row,), job=job)


def _current(model: Model, ticket: Ticket) -> Ticket:
    """The newest that is known of it."""
    found = [ticket]
    if model.board and ticket.id in model.board.tickets:
        found.append(model.board.tickets[ticket.id])
    if model.detail and model.detail.ticket.id == ticket.id:
        found.append(model.detail.ticket)
    return max(found, key=lambda one: one.revision)


def _prompt_written(model: Model, answer: Written) -> Step:
    """Go on as if it had been typed."""
    prompt, gone = model.overlay, (Discard(answer.job.path),)
    if not isinstance(prompt, Prompt) or prompt.kind != answer.job.kind:
        return model, gone
    if answer.unchanged or not answer.text.strip():
        return _beside(model, prompt, "Nothing was written."), gone
    model = replace(model, overlay=replace(prompt, text=answer.text))
    model, effects = actions.submit(model)
    return model, (*effects, *gone)


def not_written(model: Model, answer: NotWritten) -> Step:
    """The editor failed: what was written in spite of that is kept."""
    prompt = model.overlay
    if isinstance(prompt, Prompt) and prompt.kind == answer.job.kind:
        where = f" The text is in {answer.job.path}" if answer.job.path else ""
        return _beside(model, prompt, f"{answer.why}{where}"), ()
    if answer.job.path:
        return keep(model, answer.job, answer.why), ()
    return toast(model, answer.why, bad=True), ()


def _beside(model: Model, prompt: Prompt, said: str) -> Model:
    """Say it above the prompt, which covers the toasts."""
    about = prompt.about if prompt.about.startswith(said) else f"{said}\n{prompt.about}".rstrip()
    return replace(model, overlay=replace(prompt, about=about))


# --- what came of it


def stored(
    model: Model, job: Job, lost: tuple[RowRefused, ...] = (), again: bool = False
) -> Step:  # fmt: skip
    """The draft is no longer needed once the server has it; refused, it is kept."""
    effects: tuple[Effect, ...] = (Discard(job.path),)
    if not lost:
        return model, () if again else effects
    current = lost[0].current
    why = f"{job.name} was not changed: {lost[0].why}."
    if current and job.ticket:
        names = [n for n, v in _wire(job.ticket).items() if n in SHOWN and v != getattr(current, n)]
        why += f" They changed: {', '.join(names)}." if names else ""
    return keep(model, job.but(over=job.over or current is not None), why), ()


SHOWN = (
    "title", "body", "type", "status", "priority", "labels", "assignee", "due", "references",
    "depends_on", "archived",
)  # fmt: skip
