"""The machine: what it is, which core is whose, and what a process has used of it."""

import os
import platform
import re
import resource
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
PACKAGES = ("gunicorn", "gevent", "greenlet", "flask", "sqlalchemy", "psycopg")


@cache  # asked first before anything is pinned
def cores() -> tuple[frozenset[int], frozenset[int]]:
    """The servers' core and the load client's; both are the same one where there is no second."""
    allowed = sorted(os.sched_getaffinity(0))
    return frozenset(allowed[:1]), frozenset(allowed[1:2] or allowed)


def allow_descriptors() -> int:
    """Raise the limit of open files as far as it goes; the new limit. Servers inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def describe() -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    server, client = cores()
    fsync, fsync_p99 = fsync_ms()
    cpu = re.search(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s+(\d+)", _read("/proc/meminfo"))
    return {
        "cpu": cpu[1] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "pinned": {"server": sorted(server), "client": sorted(client)},
        "memory_gib": round(int(memory[1]) / 2**20, 1) if memory else None,
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "load_before": os.getloadavg()[0],
        "fsync_ms": fsync,
        "fsync_p99_ms": fsync_p99,
    }


def fsync_ms(directory: Path | None = None, rounds: int = 200) -> tuple[float, float]:
    """The time of an fdatasync after a write of 32 KiB, fifty a second, in ms: median and p99."""
    path = (directory or Path.cwd()) / f".fsync-{os.getpid()}"
    times = []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(rounds):
            os.write(fd, bytes(32_768))
            start = time.perf_counter()
            os.fdatasync(fd)
            times.append(time.perf_counter() - start)
            time.sleep(0.02)
    finally:
        os.close(fd)
        path.unlink()
    times.sort()
    return round(times[rounds // 2] * 1000, 3), round(times[rounds * 99 // 100] * 1000, 3)


def family(pid: int) -> list[int]:
    """The process and everything that it has started."""
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        for task in Path(f"/proc/{current}/task").glob("*"):
            todo += [int(child) for child in _read(task / "children").split()]
    return found


def cpu_s(pid: int) -> float:
    """What a process has used so far, in seconds of a core; 0 when it is gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S if fields else 0.0


def pinned_s() -> float:
    """What all programs together have used of the two cores so far, in seconds."""
    times = dict(re.findall(r"^cpu(\d+) (\d+ \d+ \d+)", _read("/proc/stat"), re.MULTILINE))
    used = (times.get(str(core), "0").split() for core in frozenset.union(*cores()))
    return sum(int(ticks) for core in used for ticks in core) / TICKS_PER_S


def memory_kib(pid: int) -> int:
    """Its resident memory, in KiB; what it shares with others counts in parts."""
    if found := re.search(r"^Pss:\s+(\d+)", _read(f"/proc/{pid}/smaps_rollup"), re.MULTILINE):
        return int(found[1])
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE_KIB if fields else 0


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:  # the process has ended
        return ""
