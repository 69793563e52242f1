"""What the agents of the demo work on, and what they say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Agent:
    """A pretended agent; the names are only shown."""

    name: str
    model: str


@dataclass(frozen=True)
class Task:
    """A ticket of the demo."""

    title: str
    body: str
    kind: str = "work"
    labels: tuple[str, ...] = ()
    priority: str = "none"


AGENTS = (
    Agent("opencode", "demo-large"),
    Agent("claude", "demo-medium"),
    Agent("codex", "demo-small"),
)

LABELS = {"api": "#3b82f6", "bug": "#ef4444", "docs": "#10b981", "speed": "#f59e0b"}

TASKS = (
    Task(
        "Retry uploads that time out", "Three tries, then a clear error.", "work", ("api",), "high"
    ),
    Task(
        "Crash when the list is empty",
        "Opening the page without any entry.",
        "debug",
        ("bug",),
        "urgent",
    ),
    Task("Compare two search libraries", "Size, speed, and how alive they are.", "research"),
    Task("Explain the settings", "One page, with the defaults.", "chore", ("docs",), "low"),
    Task("Page the history", "Five thousand rows at once are too many.", "work", ("api", "speed")),
    Task(
        "Wrong total after a refund", "The sum ignores the second line.", "debug", ("bug",), "high"
    ),
    Task("Read the configuration once", "It is parsed again on each request.", "work", ("speed",)),
    Task("Remove the old importer", "Nobody calls it since spring.", "chore"),
    Task("Accept dates without a year", "People type 3 May.", "work", ("api",), "medium"),
)

REPLIES = (
    "The handler opens the file twice. I will read it once and pass the content on.",
    "Two tests cover this path. I add a third for the empty case before I touch the code.",
    "The limit comes from a constant in the client; the server has no say. Moving it there.",
    "It fails only with a trailing slash. The route does not match, so the default answers.",
    "Done with the first half: the parser is separate now and has tests of its own.",
    "I compared both. The smaller one lacks stemming, which the issue asks for, so that one.",
)

ANSWERS = ("Yes, go ahead.", "Yes, but keep the old name working.", "No; find a way without it.")
