"""Leaving the board: what was asked for is still sent, and what did not come of it is said.

The terminal has been given back by then. Another ^C leaves at once.
"""

import select
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from cortex_cli.board import asks, crashes
from cortex_cli.board import changes as ch
from cortex_cli.board import messages as m
from cortex_cli.board.model import Model, Prompt
from cortex_cli.board.update import update

if TYPE_CHECKING:
    from cortex_cli.board.effects import Effects
    from cortex_cli.board.inbox import Inbox
    from cortex_cli.board.interrupts import Interrupts

WAIT_S = 5.0
SAID_AFTER_S = 0.3  # most answers come sooner
BATCH = 100
TEXTS = ("title", "comment", "answer", "note", "say")  # prompts of what would be lost
ANSWERS = (
    m.Moved, m.MoveRefused, ch.Created, ch.Commented, ch.Refused, ch.Altered, ch.Deleted,
    asks.Asked, asks.AskRefused,
)  # fmt: skip


def finish(
    model: Model, effects: "Effects", inbox: "Inbox", interrupts: "Interrupts", code: int
) -> tuple[Model, int]:
    """Wait a while for the answers to changes. Returns the model after them and the exit code.

    What was refused, and what was not answered, goes to standard error; 0 becomes 1 then.
    """
    from cortex_cli.board import calls, writing

    interrupts.taken.clear()
    told: list[str] = []
    began, waiting = time.monotonic(), False
    poll = select.poll()
    poll.register(inbox.fileno(), select.POLLIN)
    while True:
        done = not effects.unsaved
        messages = inbox.take(BATCH)
        for message in messages:
            model, more, said = settle(model, message)
            told += said
            for effect in more:
                if isinstance(effect, calls.CHANGES):
                    effects.run(effect)
                elif isinstance(effect, ch.Discard):
                    writing.discard(effect.path)
        past = time.monotonic() - began
        if (done and not messages and not effects.unsaved) or past > WAIT_S:
            break
        if interrupts.ending() is not None:
            break
        if past > SAID_AFTER_S and not waiting:
            waiting = True
            _say("Saving what you changed; ^C leaves without it.")
        poll.poll(100)
    told += unsaved(model, effects.unsaved)
    prompt = model.overlay
    typed = isinstance(prompt, Prompt) and prompt.kind in TEXTS and prompt.text.strip()
    if told or typed:
        crashes.say("\n".join([*told, *([f"This was not sent:\n  {typed}"] if typed else [])]))
    return model, code or (1 if told else 0)


def wait(effects: "Effects") -> None:
    """After a crash: wait a while for what is being sent, and say what was not answered."""
    until = time.monotonic() + WAIT_S
    while effects.unsaved and time.monotonic() < until:
        time.sleep(0.02)
    if left := unsaved(Model(), effects.unsaved):
        crashes.say("\n".join(left))


def settle(model: Model, message: m.Incoming) -> tuple[Model, tuple[m.Effect, ...], list[str]]:
    """The model after an answer, what is to be done, and what has to be said of it."""
    if not isinstance(message, ANSWERS):
        return model, (), []
    before = replace(model, toasts=())
    after, effects = update(before, message)
    said = [toast.text for toast in after.toasts if toast.bad]
    if isinstance(message, ch.Refused) and after.kept is before.kept:
        what = "The ticket" if message.prompt == "title" else "The comment"
        said = [f"{what} was not saved: {message.why}", f"  {message.draft}"]
    elif isinstance(message, asks.AskRefused) and message.draft:
        said = [message.why, f"  {message.draft[1]}"]
    said += [
        f"Your draft is kept in {kept.job.path}: {kept.why}"
        for name, kept in after.kept.items()
        if before.kept.get(name) is not kept and not any(kept.job.path in one for one in said)
    ]
    return after, effects, said


def unsaved(model: Model, effects: tuple[m.Effect, ...]) -> list[str]:
    """What was not answered, in words."""
    if not effects:
        return []
    found = [f"  {_described(model, effect)}" for effect in effects]
    return ["No answer came, so this may not be saved:", *found]


def _described(model: Model, effect: m.Effect) -> str:
    match effect:
        case m.Move():
            moved = (one.key for one in model.pending if one.ticket_id == effect.ticket_id)
            return f"{next(moved, effect.ticket_id)} to {effect.status}"
        case ch.Create():
            return f"new ticket in {effect.project}: {effect.title}"
        case ch.AddComment():
            return f"comment on {effect.ticket}: {effect.body}"
        case ch.Alter() | ch.Delete():
            verb = "delete" if isinstance(effect, ch.Delete) else "change"
            jobs = (one.job.path for one in model.works if one.number == effect.number and one.job)
            draft = "".join(f" (your draft: {path})" for path in jobs)
            return f"{verb} {', '.join(row.key for row in effect.rows)}{draft}"
        case asks.StartAttempt():
            return f"start {effect.agent} on {effect.ticket}"
        case asks.RetryAttempt():
            return f"try again on {effect.ticket}"
        case asks.StopAttempt():
            return f"stop attempt {effect.attempt}"
        case asks.Say():
            return f"to the agent: {effect.text}"
        case asks.Abort():
            return "end the agent's turn"
        case asks.Answer():
            return f"answer: {effect.text or ', '.join(effect.choices)}"
        case asks.ResolveReview():
            return f"review: {effect.state} {effect.note}".rstrip()
    return type(effect).__name__


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # the terminal is gone: nobody would read it
