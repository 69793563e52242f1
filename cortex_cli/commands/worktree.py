"""`cortex worktree`: the directories that attempts worked in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cortex_cli.context import App, api
from cortex_cli.failures import Failed
from cortex_cli.options import Noun, json_option
from cortex_cli.output import clean, print_json, print_table, say

if TYPE_CHECKING:
    from cortex_cli.runner.cleaning import Cleaned
    from cortex_cli.runner.git import Repository
    from cortex_cli.runner.worktrees import Listed

_LONGEST_S = 600.0
_UNITS = ("B", "KiB", "MiB", "GiB")
_ROOT = click.option(
    "--worktrees", "root", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
    help="Where they lie; else $XDG_DATA_HOME/cortex/worktrees.",
)  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """What the server knows. active: directories with a living attempt · merged_heads: by branch
    the last commit of those whose pull request was merged · defaults: by project its branch."""

    active: frozenset[Path] = frozenset()
    merged_heads: tuple[tuple[str, str], ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()

    def default_branch(self, project: str) -> str | None:
        return dict(self.defaults).get(project)


@click.group("worktree", cls=Noun)
def command() -> None:
    """See and clean up the worktrees of attempts.

    They are on this machine, where its runner made them; with --project only those of one project.
    """


@command.command("list")
@_ROOT
@json_option
@click.pass_obj
def list_worktrees(app: App, root: Path | None, as_json: bool) -> None:
    """List the worktrees, with their sizes and what is in them."""
    known = _ask_or_warn(app)
    found = [w for w in _listed(app, _place(app, root), known) if _is_meant(app, w.path)]
    if as_json:
        print_json([_plain(asdict(worktree)) for worktree in found])
        return
    rows = [
        (str(w.path), _size(w.size), _age(w.age_s), _state(w), w.branch)
        for w in sorted(found, key=lambda w: w.path)
    ]
    print_table(("PATH", "SIZE", "LAST COMMIT", "STATE", "BRANCH"), rows)
    if rows:
        count = "1 worktree" if len(rows) == 1 else f"{len(rows)} worktrees"
        say(f"{count}, {_size(sum(w.size or 0 for w in found))}.")
    else:
        say("There are no worktrees.")


@command.command("clean")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_ROOT
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be removed.")
@json_option
@click.pass_obj
def clean_up(
    app: App, paths: tuple[Path, ...], root: Path | None, dry_run: bool, as_json: bool
) -> None:
    """Remove the worktrees whose work is merged; PATHS: only these.

    One with anything uncommitted, untracked or not merged is kept, and says why. Exit code 1
    when one that was named is kept.
    """
    known = _ask(app)
    place = _place(app, root)
    only = paths
    if app.project_option and not paths:
        only = tuple(w.path for w in _listed(app, place, known) if _is_meant(app, w.path))
    meant = only or not app.project_option
    results = list(_cleaned(app, place, known, only, dry_run)) if meant else []
    if as_json:
        print_json([_plain(asdict(result)) for result in results])
    else:
        _tell(results, dry_run)
    missing = {path.resolve() for path in paths} - {result.path.resolve() for result in results}
    if missing:
        raise Failed(f"No worktree of an attempt: {', '.join(map(str, sorted(missing)))}.")
    if paths and not all(result.removed for result in results):
        click.get_current_context().exit(1)


def _tell(results: list[Cleaned], dry_run: bool) -> None:
    freed = 0
    for result in results:
        if result.removed:
            freed += result.size or 0
            verb = "would remove" if dry_run else "removed"
            click.echo(f"{verb} {clean(result.path)} ({_size(result.size)})")
        else:
            click.echo(f"kept {clean(result.path)}: {clean('; '.join(result.kept))}")
    say(f"{_size(freed)} {'would be' if dry_run else 'are'} free." if results else "Nothing there.")


def _listed(app: App, root: Path, known: _Known) -> Iterator[Listed]:
    from cortex_cli.runner import cleaning

    deadline = time.monotonic() + _LONGEST_S
    for repository, project in _repositories(app, root, deadline):
        yield from cleaning.listed(
            repository, root, default_branch=known.default_branch(project), active=known.active,
            merged_heads=dict(known.merged_heads), deadline=deadline,
        )  # fmt: skip


def _cleaned(
    app: App, root: Path, known: _Known, paths: tuple[Path, ...], dry_run: bool
) -> Iterator[Cleaned]:
    from cortex_cli.runner import cleaning

    deadline = time.monotonic() + _LONGEST_S
    for repository, project in _repositories(app, root, deadline):
        yield from cleaning.clean(
            repository, root, default_branch=known.default_branch(project), active=known.active,
            merged_heads=dict(known.merged_heads), only=paths or None, dry_run=dry_run,
            deadline=deadline,
        )  # fmt: skip


def _repositories(app: App, root: Path, deadline: float) -> Iterator[tuple[Repository, str]]:
    """Yield each repository that has worktrees below root, and the project that they are of."""
    from cortex_cli.runner import worktrees

    if not root.is_dir():
        return
    for repository in worktrees.repositories(root, deadline=deadline, environ=app.environ):
        ours = worktrees.ours(repository, root)
        yield repository, ours[0].parent.name if ours else ""


def _is_meant(app: App, path: Path) -> bool:
    """Whether a worktree is of the project that the options name, if they name one."""
    return not app.project_option or path.parent.name.lower() == app.project_option.lower()


def _place(app: App, root: Path | None) -> Path:
    from cortex_cli.runner import worktrees

    return root or worktrees.default_root(app.environ)


def _ask(app: App) -> _Known:
    """Ask the server which attempts still live, and what was merged. Raises CortexError."""
    path = api("attempts")
    active = app.client.paginate(path, {"active": True})
    ended = app.client.paginate(path, {"active": False})
    merged = {
        a["branch"]: a["git"]["head"]
        for a in ended
        if (a["pr"] or {}).get("state") == "merged" and a["branch"] and (a["git"] or {}).get("head")
    }
    return _Known(
        active=frozenset(Path(a["worktree"]) for a in active if a["worktree"]),
        merged_heads=tuple(merged.items()),
        defaults=tuple((p["key"], p["default_branch"]) for p in app.projects()),
    )


def _ask_or_warn(app: App) -> _Known:
    from cortex_cli import sdk

    try:
        return _ask(app)
    except sdk.CortexError as error:
        say(f"Which attempts still work there is not known: {error}")
        return _Known()


def _state(worktree: Listed) -> str:
    if worktree.gone:
        return "gone"
    if worktree.problem:
        return worktree.problem
    words = ["in use"] if worktree.owned else []
    words += worktree.dirty or (["merged"] if worktree.merged else ["not merged"])
    return "; ".join(words)


def _age(age_s: float | None) -> str:
    from cortex_cli.board.text import age

    return "" if age_s is None else age(age_s)


def _size(size: int | None) -> str:
    if size is None:
        return "?"
    amount = float(size)
    for unit in _UNITS[:-1]:
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} {_UNITS[-1]}"


def _plain(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
