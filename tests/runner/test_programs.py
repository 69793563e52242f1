"""An external program is bounded in time and output, and nothing of it is left behind."""

import os
import sys
import time
from pathlib import Path

import pytest

from cortex_cli.runner import programs
from cortex_cli.runner.git_errors import TimedOut
from cortex_cli.runner.programs import within
from tests.support.server import wait_for


def run(script: str, **options):
    argv = [sys.executable, "-c", script]
    options = {"deadline": within(20), **options}
    return programs.run(argv, cwd=Path("/"), environ=dict(os.environ), **options)


def test_what_a_program_says_and_how_it_ends_is_returned():
    script = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit('bad')"
    ran = run(script, input=b"x" * 300_000)
    assert (ran.code, ran.out, ran.err) == (1, b"X" * 300_000, "bad\n")
    assert not ran.truncated


def test_too_much_output_ends_it():
    began = time.monotonic()
    ran = run("while True: print('x' * 1000)", limit=5000)
    assert ran.truncated
    assert len(ran.out) == 5000
    assert time.monotonic() - began < 10


def test_too_much_on_standard_error_costs_no_memory():
    ran = run("import sys; [sys.stderr.write('e' * 10_000) for _ in range(100)]; print('done')")
    assert ran.text == "done"
    assert len(ran.err) <= 65_536


def test_a_program_that_is_late_is_ended_with_its_children(tmp_path):
    script = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
child.wait()
"""
    with pytest.raises(TimedOut):
        run(script, deadline=within(1.0))
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: _is_gone(pid), "its child is gone", 10)


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_daemon_that_is_left_behind_is_not_waited_for(tmp_path):
    script = """
import subprocess, sys
child = subprocess.Popen(["sleep", "30"], start_new_session=True)
print(child.pid)
"""
    began = time.monotonic()
    ran = run(script)
    os.kill(int(ran.text), 9)
    assert ran.code == 0
    assert time.monotonic() - began < 10


def test_a_program_has_no_terminal_and_no_input():
    ran = run("import os, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))")
    assert ran.text == "True ''"
