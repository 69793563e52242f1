"""scripts/setup with a stand-in for Python and pip, which notes what is asked of it."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent

# Answers -c and --version for real; makes an environment of itself; writes pip's calls down.
# An install waits while the file `hold` is there.
STAND_IN = f"""#!/bin/bash
case "$1 $2" in
    "-m venv")
        echo venv >>calls
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        cp "$0" "$3/bin/pip" ;;
    "-m pip")
        echo "pip $*" >>calls
        while [[ -e hold ]]; do sleep 0.01; done
        [[ ! -e broken ]] || exit 1
        printf '#!/bin/sh\\n' >.venv/bin/cortex
        chmod +x .venv/bin/cortex ;;
    *) exec {sys.executable} "$@" ;;
esac
"""


class Clone:
    """A copy of what scripts/setup reads, with a Python that installs nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "scripts").mkdir()
        for file in ("requirements.lock", "requirements-test.lock", "setup.cfg", "pyproject.toml"):
            (path / file).write_text(f"{file}\n")
        shutil.copy(ROOT / "scripts/setup", path / "scripts/setup")
        self.python = path / "python"
        self.python.write_text(STAND_IN)
        self.python.chmod(0o755)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.path / "scripts/setup", *arguments],
            env={"PATH": "/usr/bin:/bin", "PYTHON": str(self.python)},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def setup(self, *arguments: str) -> str:
        """Run it to its end and return what it said; raises when it failed."""
        with self.start(*arguments) as process:
            _, said = process.communicate(timeout=20)
        assert process.returncode == 0, said
        return said

    def calls(self) -> list[str]:
        path = self.path / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for_calls(self, count: int) -> None:
        wait_for(lambda: len(self.calls()) >= count, f"{count} calls")


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def test_a_first_setup_installs_hashed_wheels_and_then_the_project(clone):
    clone.setup()
    made, packages, project = clone.calls()
    assert made == "venv"
    assert "--require-hashes --only-binary :all: --requirement requirements.lock" in packages
    assert "--no-deps --no-build-isolation --no-index --editable ." in project


def test_the_man_page_is_where_man_looks_for_it(clone):
    page = clone.path / "docs/man/cortex-board.1"
    page.parent.mkdir(parents=True)
    page.write_text(".TH CORTEX-BOARD 1\n")
    clone.setup()
    assert (clone.path / ".venv/share/man/man1/cortex-board.1").read_text() == page.read_text()


def test_a_second_setup_does_nothing_and_says_nothing(clone):
    clone.setup()
    before = clone.calls()
    assert clone.setup() == ""
    assert clone.calls() == before


def test_a_test_setup_covers_running_but_not_the_other_way_round(clone):
    clone.setup()
    assert "requirements-test.lock" in clone.setup("--test")
    assert clone.setup() == ""
    assert clone.setup("--test") == ""


@pytest.mark.parametrize("file", ["requirements.lock", "setup.cfg", "pyproject.toml"])
def test_a_changed_ingredient_is_installed_into_the_same_environment(clone, file):
    clone.setup()
    (clone.path / file).write_text("changed\n")
    clone.setup()
    assert clone.calls().count("venv") == 1
    assert len(clone.calls()) == 5


def test_a_moved_clone_starts_afresh(clone, tmp_path_factory):
    clone.setup()
    moved = tmp_path_factory.mktemp("elsewhere") / "clone"
    clone.path = clone.path.rename(moved)
    clone.python = moved / "python"
    assert "this clone was moved: starting afresh" in clone.setup()
    assert clone.calls().count("venv") == 2


def test_a_killed_setup_is_started_afresh(clone):
    (clone.path / "hold").touch()
    with clone.start() as killed:
        clone.wait_for_calls(2)
        os.killpg(killed.pid, signal.SIGKILL)
        killed.communicate(timeout=20)
    (clone.path / "hold").unlink()
    assert "starting afresh" in clone.setup()
    assert clone.calls().count("venv") == 2
    assert clone.setup() == ""


def test_a_failed_install_fails_the_setup_and_leaves_no_stamp(clone):
    (clone.path / "broken").touch()
    with clone.start() as process:
        process.communicate(timeout=20)
    assert process.returncode != 0
    (clone.path / "broken").unlink()
    assert "done" in clone.setup()


def test_of_two_at_once_one_installs_and_the_other_waits(clone):
    (clone.path / "hold").touch()
    with clone.start() as first:
        clone.wait_for_calls(2)
        with clone.start() as second:
            assert second.stderr.readline() == "setup: waiting for another setup to end\n"
            (clone.path / "hold").unlink()
            second.communicate(timeout=20)
        first.communicate(timeout=20)
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(clone.calls()) == 3


def test_an_old_python_is_refused_with_what_to_do(clone):
    clone.python.write_text("#!/bin/sh\nexit 1\n")
    with clone.start() as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "needs Python 3.11 or newer" in said
    assert not (clone.path / ".venv").exists()


def test_an_unknown_option_is_refused(clone):
    with clone.start("--tset") as process:
        _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "no such option: --tset" in said
