"""The client speaks of addresses, events and reasons that the server knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.routing import Map

from cortex_cli import completion
from cortex_cli.commands import runner
from cortex_cli.sdk import decode
from cortex_server.app import create_app
from cortex_server.config import Config
from cortex_server.events import EVENTS
from cortex_server.stream import base
from tests.support.server import ROOT

SOURCES = sorted((ROOT / "cortex_cli").rglob("*.py"))
METHODS = {name: name.upper() for name in ("get", "post", "put", "patch", "delete")}
METHODS |= {"paginate": "GET", "_get": "GET", "_post": "POST"}
ANYTHING = "\0"  # stands for a value that is known only when it runs


@pytest.fixture(scope="module")
def routes(tmp_path_factory) -> Iterator[Map]:
    data = tmp_path_factory.mktemp("data")
    app = create_app(Config.load({"XDG_DATA_HOME": str(data), "XDG_CONFIG_HOME": str(data)}))
    yield app.url_map
    app.extensions["cortex"].store.engine.dispose()


def text_of(node: ast.AST) -> str:
    """A literal, or an f-string with `ANYTHING` for its values; otherwise just `ANYTHING`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value) for value in node.values)
    return ANYTHING


def path_of(node: ast.AST) -> str | None:
    """The path that an expression makes: url_path("api", …), api(…) or "/api/…"."""
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name not in ("api", "url_path") or any(isinstance(a, ast.Starred) for a in node.args):
            return None
        segments = [text_of(argument) for argument in node.args]
        return "/" + "/".join(segments if name == "url_path" else ["api", *segments])
    text = text_of(node)
    return text if re.match("/(api/|events|healthz|readyz|login)", text) else None


def used_paths(source: str) -> dict[str, set[str]]:
    """Every path in the source -> the methods that are plainly called with it."""
    found: dict[str, set[str]] = {}
    nodes = list(ast.walk(ast.parse(source)))
    pieces = {id(v) for node in nodes if isinstance(node, ast.JoinedStr) for v in node.values}
    for node in nodes:
        if (path := path_of(node)) is not None and id(node) not in pieces:
            found.setdefault(path, set())
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            path = path_of(node.args[0])
            if path is not None and node.func.attr in METHODS:
                found.setdefault(path, set()).add(METHODS[node.func.attr])
    return found


def matching(routes: Map, path: str) -> set[str]:
    """The methods of the rules that the path can match."""
    methods: set[str] = set()
    for rule in routes.iter_rules():
        parts, wanted = rule.rule.split("/"), path.split("/")
        same = [
            a == b or a[:1] == "<" or ANYTHING in b for a, b in zip(parts, wanted, strict=False)
        ]
        if len(parts) == len(wanted) and all(same):
            methods |= rule.methods or set()
    return methods


def test_every_path_that_the_client_uses_is_a_route_with_that_method(routes: Map):
    used: dict[str, set[str]] = {}
    for source in SOURCES:
        for path, methods in used_paths(source.read_text(encoding="utf-8")).items():
            used.setdefault(path, set()).update(methods)
    assert len(used) > 25
    wrong = {
        f"{path.replace(ANYTHING, '*')} {sorted(methods)}"
        for path, methods in used.items()
        if not matching(routes, path) or not methods <= matching(routes, path)
    }
    assert not wrong


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('c.get("/api/teams")', {"/api/teams": {"GET"}}),
        ('c.delete(api("labels", x["id"]))', {f"/api/labels/{ANYTHING}": {"DELETE"}}),
        ('c.get(f"/api/tickets/{key}")', {f"/api/tickets/{ANYTHING}": {"GET"}}),
        ('p = url_path("api", "settings")', {"/api/settings": set()}),
    ],
)
def test_paths_are_found_in_every_form(source: str, expected: dict[str, set[str]]):
    assert used_paths(source) == expected


def test_a_path_that_is_no_route_would_be_noticed(routes: Map):
    assert matching(routes, "/api/nothing") == set()
    assert "POST" not in matching(routes, f"/api/comments/{ANYTHING}")


def test_the_client_completes_every_type_of_the_catalogue():
    assert EVENTS.keys() <= set(completion.EVENT_TYPES)


def test_every_event_name_in_the_client_is_in_the_catalogue():
    nouns = {name.partition(".")[0] for name in completion.EVENT_TYPES}
    name = re.compile(rf"({'|'.join(nouns)})(\.[a-z_]+)+")
    for source in SOURCES:
        if source.parent.name == "opencode":
            continue  # it speaks of OpenCode's events, too
        tree = ast.parse(source.read_text(encoding="utf-8"))
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
        named = {text for text in texts if isinstance(text, str) and name.fullmatch(text)}
        # What a runner prints has names of the same form, and a table of its own.
        known = {*completion.EVENT_TYPES, *runner.SENTENCES, "batch.ticket"}
        assert named <= known, source


def frames_of_the_server() -> set[str]:
    """The names of the frames that are not events, from the calls that make them."""
    found = set()
    package = Path(base.__file__).parent
    for path in [*package.glob("*.py"), package.parent / "snapshots.py"]:
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'\bframe\("([a-z_]+)"', text))
        found |= set(re.findall(r"\\nevent: ([a-z_]+)\\n", text))
    return found


def test_the_sdk_knows_every_frame_of_the_protocol_and_no_other():
    assert frames_of_the_server() == decode._PROTOCOL


def test_both_sides_agree_on_the_ends_that_are_final():
    assert set(base.FINAL) == set(decode._ENDED_FOR_GOOD)
