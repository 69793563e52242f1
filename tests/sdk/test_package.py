"""What importing the SDK costs and touches."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import cortex_cli.sdk as sdk

FILES = sorted(Path(sdk.__file__).parent.glob("*.py"))


def test_importing_it_and_making_a_client_leaves_requests_alone() -> None:
    code = (
        "import sys, cortex_cli.sdk as s\n"
        "c = s.CortexClient('http://127.0.0.1:1', 't', ca_file='/none'); c.events()\n"
        "print([m for m in ('requests', 'urllib3', 'sseclient', 'ssl') if m in sys.modules])"
    )
    root = Path(sdk.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = [{str(root)!r}]\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_it_imports_nothing_else_of_ours_and_requests_in_one_file() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, path
                names = [node.module or ""] if node.level == 0 else []
            assert not any(name.startswith("cortex") for name in names), path


def test_every_public_name_exists_once() -> None:
    assert sorted(set(sdk.__all__)) == sorted(sdk.__all__)
    assert all(hasattr(sdk, name) for name in sdk.__all__)
