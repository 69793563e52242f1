"""The rules of the repository: who may import whom, how long things grow, what is shipped."""

import ast
import configparser
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SERVER, CLI = ROOT / "cortex_server", ROOT / "cortex_cli"
FILES = sorted([*SERVER.rglob("*.py"), *CLI.rglob("*.py")])
SCRIPTS = sorted(p for p in (ROOT / "scripts").iterdir() if p.is_file())

# The lowest layer first. A module imports from lower layers, and from its own layer as long as
# no circle comes of it. `__init__` stands for names taken from the package itself.
SERVER_LAYERS = [
    {"__init__"},
    {"errors", "clock", "ids", "config", "logs", "metrics", "outgoing", "plain", "protocol"},
    {"worker"},
    {"events"},
    {"signals", "db"},
    {"log", "flights"},
    {"batches", "channels", "recent", "subscriber", "bus"},
    {"publisher", "commits"},
    {"store"},
    {"auth", "domains", "tailer"},
    {"snapshots", "pages", "registry"},
    {"services"},
    {"stream", "reconciler", "triggering"},
    {"api"},
    {"app"},
    {"wsgi", "gunicorn_settings"},
    {"serve", "db_commands"},
    {"__main__"},
]
CLI_LAYERS = [
    {"__init__"},
    {"sdk", "tickets_file", "paths", "patches", "event_words"},
    {"editor"},
    {"ticket_draft"},
    {"board", "tickets_tree", "remembered", "demo_script"},
    {"output"},  # takes the one sanitiser from board.text
    {"tail", "failures", "context", "completion", "options", "local_server", "demo"},
    {"runner", "following", "plain"},
    {"commands"},
    {"main"},
    {"reference", "man_page", "__main__"},
]
# Of the board these talk to the world: threads, files, the server, the terminal. All others are
# pure, and import none of them.
WORLDLY_BOARD = {
    "app", "cache", "calls", "change_calls", "clipboard", "crashes", "effects", "inbox",
    "interrupts", "leaving", "loop", "once", "terminal", "writing",
}  # fmt: skip
WORLD = (
    "cortex_cli.sdk", "requests", "os", "select", "signal", "socket", "subprocess", "threading",
)  # fmt: skip
MAX_FILE_LINES, MAX_FUNCTION_LINES = 400, 60


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """Return every module that `source` imports, wherever in it, as dotted names.

    `from a import b` counts as a.b, since b may be a module.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, *([base] if base else [])])
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


@cache
def imports_of(path: Path) -> set[str]:
    return imports(
        path.read_text(encoding="utf-8"), module_of(path), is_package=path.stem == "__init__"
    )


def part_of(package: Path, module: str) -> str:
    """Return the first name below the package: `domains` for cortex_server.domains.tickets."""
    first = module.split(".")[1] if "." in module else "__init__"
    known = (package / first).is_dir() or (package / f"{first}.py").exists()
    return first if known else "__init__"


def edges(package: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield each import inside the package: the file, its part, and the part it imports."""
    for path in package.rglob("*.py"):
        here = part_of(package, module_of(path))
        for module in imports_of(path):
            if module.split(".")[0] == package.name:
                there = part_of(package, module)
                if there != here:
                    yield path, here, there


def upward(layers: list[set[str]], here: str, there: str) -> bool:
    level = {part: i for i, layer in enumerate(layers) for part in layer}
    return level.get(there, 0) > level.get(here, 0)


PACKAGES = pytest.mark.parametrize(
    ("package", "layers"), [(SERVER, SERVER_LAYERS), (CLI, CLI_LAYERS)], ids=["server", "cli"]
)


@PACKAGES
def test_every_module_has_its_place_in_the_layers(package, layers):
    parts = {part_of(package, module_of(path)) for path in package.rglob("*.py")}
    assert parts <= set().union(*layers), "give the new module a layer, here and in the README"


@PACKAGES
def test_imports_point_down_only(package, layers):
    wrong = {
        f"{name(path)} imports {there}"
        for path, here, there in edges(package)
        if upward(layers, here, there)
    }
    assert not wrong


@PACKAGES
def test_no_circle_of_imports(package, layers):
    graph: dict[str, set[str]] = {}
    for _, here, there in edges(package):
        graph.setdefault(here, set()).add(there)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_server_and_client_never_import_each_other():
    for path in FILES:
        other = CLI.name if path.is_relative_to(SERVER) else SERVER.name
        assert not [m for m in imports_of(path) if m.split(".")[0] == other], name(path)


def test_the_sdk_imports_nothing_of_ours():
    for path in [*CLI.glob("sdk.py"), *CLI.glob("sdk/**/*.py")]:
        ours = {m for m in imports_of(path) if m.split(".")[0] in (SERVER.name, CLI.name)}
        assert not {m for m in ours if not f"{m}.".startswith("cortex_cli.sdk.")}, name(path)


def test_only_the_terminal_imports_curses():
    users = {
        name(p) for p in FILES if {m.split(".")[0] for m in imports_of(p)} & {"curses", "_curses"}
    }
    assert users <= {"cortex_cli/board/terminal.py"}


def test_the_pure_part_of_the_board_knows_neither_threads_nor_files_nor_terminal_nor_sdk():
    board = sorted((CLI / "board").glob("*.py"))
    assert {path.stem for path in board} >= WORLDLY_BOARD, "a module is gone: forget it here, too"
    world = (*WORLD, *(f"cortex_cli.board.{module}" for module in WORLDLY_BOARD))
    outside = {
        f"{name(path)} imports {found}"
        for path in board
        if path.stem not in WORLDLY_BOARD
        for found in imports_of(path)
        if f"{found}.".startswith(tuple(f"{part}." for part in world))
    }
    assert not outside


def test_domains_know_no_flask_and_send_no_signals():
    for path in [*SERVER.glob("domains.py"), *SERVER.glob("domains/**/*.py")]:
        roots = {tuple(m.split(".")[:2]) for m in imports_of(path)}
        assert not {r for r in roots if r[0] in ("flask", "werkzeug")}, name(path)
        assert ("cortex_server", "signals") not in roots, name(path)


@pytest.mark.parametrize(
    ("source", "module", "is_package", "expected"),
    [
        ("import a.b", "p.m", False, {"a.b"}),
        ("from p import x", "p.m", False, {"p.x"}),
        ("from . import x", "p.q.m", False, {"p.q.x"}),
        ("from .. import x", "p.q.m", False, {"p.x"}),
        ("from .x import y", "p.q", True, {"p.q.x.y"}),
        ("def f():\n    from ..x import y", "p.q.m", False, {"p.x.y"}),
    ],
)
def test_every_form_of_import_is_seen(source, module, is_package, expected):
    assert imports(source, module, is_package=is_package) == expected


def test_an_import_upwards_is_told_from_one_downwards():
    assert upward(SERVER_LAYERS, "events", "api")
    assert not upward(SERVER_LAYERS, "api", "events")


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_and_functions_stay_short(path):
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MAX_FILE_LINES
    long = {
        f"{node.name}: {lines} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert not long


@pytest.mark.parametrize("path", [*SCRIPTS, ROOT / ".ci/run"], ids=name)
def test_every_script_can_be_run_and_says_what_it_does(path):
    assert os.access(path, os.X_OK)
    shebang, *rest = path.read_text(encoding="utf-8").splitlines()
    assert shebang in ("#!/usr/bin/env bash", "#!/usr/bin/env python3")
    assert re.match(r'(# |""")[A-Z].*[.:]$|(# |""")[A-Z].*\w$', rest[0]), "line 2 says what it does"


@pytest.mark.parametrize("path", [p for p in SCRIPTS if p.name != "run"], ids=name)
def test_every_script_answers_help(path):
    run = subprocess.run(
        [path, "--help"], check=True, cwd="/", capture_output=True, text=True, timeout=20
    )
    assert f"usage: scripts/{path.name}" in run.stdout
    assert run.stderr == ""


@pytest.mark.parametrize(
    "path", [p for p in [*SCRIPTS, ROOT / ".ci/run"] if p.name != "docs"], ids=name
)
def test_every_shell_script_is_well_formed(path):
    subprocess.run(["bash", "-n", path], check=True)


def test_the_readme_names_the_commands_that_a_newcomer_needs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in ("scripts/run", "scripts/test", "scripts/check"):
        assert command in readme


def locked(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_every_line_of_a_lock_is_pinned_and_hashed_and_names_no_index(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    requirements = re.split(r"\n(?=\S)", code.strip())
    assert len(requirements) > 20
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+(\[[a-z,]+\])?==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement
    assert "://" not in text
    assert "index-url" not in text
    assert "find-links" not in text


def test_both_locks_name_the_same_versions():
    assert locked("requirements.lock").items() <= locked("requirements-test.lock").items()


def test_what_setup_cfg_asks_for_is_locked():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    runtime = config["options"]["install_requires"]
    runtime += config["options.extras_require"]["postgres"]
    for lock, wanted in {
        "requirements.lock": runtime,
        "requirements-test.lock": runtime + config["options.extras_require"]["test"],
    }.items():
        lines = [line for line in wanted.split("\n") if line.strip() and line.strip()[0] != "#"]
        names = {re.split(r"[\[<>=~! ]", line.strip())[0].lower() for line in lines}
        assert names <= locked(lock).keys(), f"{lock} is out of date: run scripts/lock"
