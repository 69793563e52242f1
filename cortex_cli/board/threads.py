"""Conversations as they grow: deltas appended where they belong, holes found by their offset.

A delta names the code point at which its text starts. Text that is already there is skipped, text
that continues is appended, and a hole means that something was missed: the message is fetched and
what comes meanwhile waits.
"""

from dataclasses import replace

from cortex_cli.board.messages import Grown
from cortex_cli.board.model import Thread
from cortex_cli.board.wire import Message, Part

MOST_MESSAGES = 1_000  # that are kept of a conversation whose end is followed
HELD_DELTAS = 10_000  # a bound: what is dropped here is found again as a hole


def put(thread: Thread, message: Message) -> Thread:
    """Put a message into the thread, then the deltas that waited for it."""
    known = _find(thread, message.id)
    if known is not None:
        message = merge(known, message)
    elif thread.messages and message.number < thread.messages[0].number:
        return thread  # of a page that is not here yet
    others = [other for other in thread.messages if other.id != message.id]
    messages = tuple(sorted([*others, message], key=lambda m: (m.number, m.id)))
    waiting = thread.held.get(message.id, ())
    held = {id: deltas for id, deltas in thread.held.items() if id != message.id}
    thread = replace(thread, messages=messages, held=held)
    for delta in waiting:
        thread, _ = grow(thread, delta)
    return thread


def trimmed(thread: Thread) -> Thread:
    """Without the oldest of very many messages, which are fetched again by scrolling to them."""
    if len(thread.messages) < 2 * MOST_MESSAGES:
        return thread
    return replace(thread, messages=thread.messages[-MOST_MESSAGES:], older=False)


def load(thread: Thread, messages: tuple[Message, ...]) -> Thread:
    """Put messages of a session into its thread at once: a page, or all that there are.

    What is known is left where there is a hole between it and them.
    """
    known_to = thread.messages[-1].number if thread.messages else 0
    apart = bool(messages and known_to and messages[0].number > known_to + 1)
    merged = {} if apart else {message.id: message for message in thread.messages}
    for message in messages:
        known = merged.get(message.id)
        merged[message.id] = merge(known, message) if known else message
    ordered = tuple(sorted(merged.values(), key=lambda m: (m.number, m.id)))
    return replace(thread, messages=ordered, loaded=True, failed="", older=False)


def merge(known: Message, message: Message) -> Message:
    """The newer of two states of a message; streamed text that only one of them has is kept."""
    if known.revision > message.revision:
        known, message = message, known
    parts = tuple(
        _longer(known.parts[i], part) if i < len(known.parts) else part
        for i, part in enumerate(message.parts)
    )
    return replace(message, parts=parts)


def _longer(known: Part, part: Part) -> Part:
    still = part.status == "streaming" and known.text.startswith(part.text)
    return replace(part, text=known.text) if still else part


def grow(thread: Thread, delta: Grown) -> tuple[Thread, bool]:
    """Append a delta. Returns the thread and whether its message has to be fetched now."""
    if delta.message in thread.held:
        waiting = thread.held[delta.message]
        if len(waiting) < HELD_DELTAS:
            thread = replace(thread, held={**thread.held, delta.message: (*waiting, delta)})
        return thread, False
    message = _find(thread, delta.message)
    grown = _append(message, delta) if message else None
    if message is None or grown is None:
        return replace(thread, held={**thread.held, delta.message: (delta,)}), True
    if grown is message:
        return thread, False
    at = len(thread.messages) - 1
    while thread.messages[at] is not message:
        at -= 1
    messages = (*thread.messages[:at], grown, *thread.messages[at + 1 :])
    return replace(thread, messages=messages), False


def give_up(thread: Thread, message_id: str) -> Thread:
    """A message could not be fetched: the next delta may ask again."""
    return replace(
        thread, held={id: deltas for id, deltas in thread.held.items() if id != message_id}
    )


def _append(message: Message, delta: Grown) -> Message | None:
    """The message with the delta in it, itself when it holds it already; None for a hole."""
    if not 0 <= delta.part < len(message.parts):
        return None
    part = message.parts[delta.part]
    length = len(part.text)
    if delta.offset > length:
        return None
    rest = delta.text[length - delta.offset :]
    if part.status != "streaming" or not rest:
        return message
    parts = list(message.parts)
    parts[delta.part] = replace(part, text=part.text + rest)
    return replace(message, parts=tuple(parts))


def _find(thread: Thread, message_id: str) -> Message | None:
    # from the end: the message that grows is nearly always the last
    return next((m for m in reversed(thread.messages) if m.id == message_id), None)


def running(message: Message) -> bool:
    """Whether it tells of a tool that runs now."""
    return message.status == "streaming" and any(
        part.type == "tool" and part.status == "streaming" for part in message.parts
    )
