"""`cortex attempt git` and `diff`: what an attempt did to its repository."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from cortex_cli import patches, sdk
from cortex_cli.context import App, api
from cortex_cli.failures import Failed, Missing
from cortex_cli.output import ago, clean, clean_lines, print_fields, print_json, print_table, say

_COLOURS = {"head": "cyan", "hunk": "magenta", "added": "green", "removed": "red"}
_WIDEST_BAR = 40


def git(app: App, attempt: dict[str, Any], as_json: bool) -> None:
    """Print the branch of an attempt, its commits and pushes, and the files that changed."""
    found = app.client.get(api("attempts", attempt["id"], "git"))
    if as_json:
        print_json(found)
        return
    state, pr = found["git"] or {}, found["pr"] or {}
    print_fields(
        {
            "branch": found["branch"], "base": found["base"], "head": state.get("head"),
            "ahead": state.get("ahead"), "behind": state.get("behind"),
            "pull request": pr.get("url"), "its state": pr.get("state"),
            "compare": found["compare_url"],
            "pushed": ", ".join(f"{p['remote']} {p['sha'][:10]}" for p in found["pushes"][-1:]),
        }
    )  # fmt: skip
    if found["commits"]:
        click.echo()
        print_table(
            ("COMMIT", "FILES", "ADDED", "REMOVED", "AGE", "SUMMARY"),
            [
                (c["sha"][:10], c["files"], c["insertions"], c["deletions"], ago(c["at"]),
                 c["subject"])
                for c in found["commits"]
            ],
        )  # fmt: skip
    if found["files"]:
        click.echo()
        print_table(("STATUS", "FILE"), [(f["status"], f["path"]) for f in found["files"]])
        if found["more"]:
            say(f"… and {found['more']} more files")


def diff(
    app: App, attempt: dict[str, Any], *, stat: bool, target: Path | None, as_json: bool
) -> None:
    """Print a difference, count it (`stat`), or write it to a file as it is (`target`)."""
    try:
        found = app.client.get(api("attempts", attempt["id"], "diff"))
    except sdk.NotFound:
        name = f"{attempt['ticket']}/{attempt['number']}"
        raise Missing(f"Nothing is known yet of what attempt {name} changed.") from None
    if as_json:
        print_json(found)
    elif target is not None:
        _write(target, found["text"])
    elif stat:
        _print_stat(patches.changes(found["text"]))
    else:
        _print_patch(found["text"])
    if found["truncated"] and not as_json:
        say("It is longer: the rest is not kept here, but in its worktree and on its branch.")


def _write(target: Path, text: str) -> None:
    try:
        target.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise Failed(f"{target} cannot be written: {error.strerror}.") from None


def _print_patch(text: str) -> None:
    keep_tabs = not sys.stdout.isatty()  # so that a patch of text can be applied from a pipe
    for kind, line in patches.lines(text) if text else ():
        pieces = line.split("\t") if keep_tabs else [line]
        shown = "\t".join(clean_lines(piece) for piece in pieces)
        click.echo(click.style(shown, fg=_COLOURS.get(kind)))


def _print_stat(changes: list[patches.Change]) -> None:
    from cortex_cli.board.text import pad, width

    names = [clean(change.path) for change in changes]
    widest = max(map(width, names), default=0)
    most = max(((c.added or 0) + (c.removed or 0) for c in changes), default=0)
    for name, change in zip(names, changes, strict=True):
        total = (change.added or 0) + (change.removed or 0)
        count = "Bin" if change.added is None else str(total)
        click.echo(f" {pad(name, widest)} | {count.rjust(len(str(most)))} {_bar(change, most)}")
    added, removed = sum(c.added or 0 for c in changes), sum(c.removed or 0 for c in changes)
    files = "1 file" if len(changes) == 1 else f"{len(changes)} files"
    click.echo(f" {files} changed, {added} added, {removed} removed")


def _bar(change: patches.Change, most: int) -> str:
    scale = min(1.0, _WIDEST_BAR / most) if most else 0.0
    signs = ((change.added or 0, "+", "green"), (change.removed or 0, "-", "red"))
    return "".join(
        click.style(sign * max(1, round(count * scale)), fg=colour)
        for count, sign, colour in signs
        if count
    )
