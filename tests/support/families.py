"""Programs for attempts, with descendants of the kinds that are hard to end."""

import os
import sys
from pathlib import Path

from cortex_cli.runner import processes
from tests.support.server import wait_for

PYTHON = [sys.executable, "-S", "-c"]
ENVIRON = {"PATH": os.environ["PATH"]}

# Each writes its own pid as a file, when it is what it is meant to be, and then sleeps.
_BORN = """
import os, signal, sys, time
def born(name):
    open(f"{sys.argv[1]}/{name}.new", "w").write(str(os.getpid()))
    os.rename(f"{sys.argv[1]}/{name}.new", f"{sys.argv[1]}/{name}")
def sleep():
    time.sleep(60)
    os._exit(0)
"""
FAMILY = (
    _BORN
    + """
if os.fork() == 0:  # hears nothing
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    born("deaf"); sleep()
if os.fork() == 0:  # in a session of its own
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    born("session"); sleep()
middle = os.fork()
if middle == 0:  # a daemon: its parent is gone
    os.setsid()
    if os.fork() == 0:
        born("daemon"); sleep()
    os._exit(0)
os.waitpid(middle, 0)
if os.fork() == 0:  # suspended
    born("suspended"); os.kill(os.getpid(), signal.SIGSTOP); sleep()
if os.fork() == 0:  # without the mark
    os.setsid()
    os.execve(sys.executable, [sys.executable, "-S", "-c", NAKED, sys.argv[1]], {})
born("first"); sleep()
""".replace("NAKED", repr(_BORN + "born('naked'); sleep()"))
)
MEMBERS = ("first", "deaf", "session", "daemon", "suspended", "naked")

# Every process forks as long as there are tokens in the pipe, every other child in a session
# of its own; all end by themselves after a while.
HYDRA = (
    _BORN
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
tokens, more = os.pipe()
os.write(more, b"x" * 300)
os.set_blocking(tokens, False)
until = time.monotonic() + 15
while time.monotonic() < until:
    try:
        token = os.read(tokens, 1)
    except BlockingIOError:
        time.sleep(0.2)
        continue
    if os.fork() == 0:
        if os.getpid() % 2:
            os.setsid()
        born(f"head-{os.getpid()}")
    time.sleep(0.02)
"""
)


def pid_of(directory: Path, name: str) -> int:
    """Wait until that member is there; return its process id."""
    path = directory / name
    wait_for(path.exists, f"{name} in {directory}")
    return int(path.read_text())


def pids_of(directory: Path) -> dict[str, int]:
    """Wait until the whole family is there; return their process ids."""
    found = {name: pid_of(directory, name) for name in MEMBERS}
    suspended = found["suspended"]
    stat = Path(f"/proc/{suspended}/stat")
    wait_for(lambda: ") T " in stat.read_text(), "the suspended one")
    return found


def living(pids: dict[str, int]) -> set[str]:
    """Return the names of those that are neither gone nor zombies."""
    table = processes.everyone()
    return {name for name, pid in pids.items() if pid in table and not table[pid].zombie}


def zombies_of(parent: int) -> list[processes.Seen]:
    return [s for s in processes.everyone().values() if s.parent == parent and s.zombie]
