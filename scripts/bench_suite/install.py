"""What the peers need, kept in .bench/: a virtual environment, node modules, Debian packages.

Debian's packages are unpacked, not installed: that needs no root and changes nothing else.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from scripts.bench_suite.program import Unavailable

ROOT = Path(__file__).resolve().parent.parent.parent
TREE = Path(os.environ.get("CORTEX_BENCH_TREE") or ROOT)  # whose server is measured
PYTHON_PEERS = (
    "flask", "gunicorn[gevent]", "flask-sse", "redis", "starlette", "sse-starlette",
    "uvicorn", "uvloop", "httptools", "django", "django-eventstream",
)  # fmt: skip
DEBIAN_PEERS = ("redis-server", "nginx", "libnginx-mod-nchan")


def say(words: str) -> None:
    print(f"bench: {words}", file=sys.stderr, flush=True)


class Home:
    """The directory, and what is installed in it, each part when it is first asked for.

    Every method that installs raises Unavailable, with the tool's words, when it cannot.
    """

    def __init__(self) -> None:
        self.path = Path(os.environ.get("CORTEX_BENCH_HOME") or ROOT / ".bench")
        self.path.mkdir(parents=True, exist_ok=True)

    def run_directory(self, name: str) -> Path:
        """A fresh directory on the same disk as the working tree, since fsync is measured."""
        runs = self.path / "runs"
        runs.mkdir(exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=runs))

    @cache  # noqa: B019
    def python(self, *modules: str) -> Path:
        """The interpreter of the peers' environment, which has these modules."""
        python = self.path / "venv/bin/python"
        if not python.exists():
            say("making an environment for the peers")
            _run([sys.executable, "-m", "venv", self.path / "venv"])
        if not _has(python, modules):
            say("installing peers from PyPI")
            pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            for package in PYTHON_PEERS:  # one by one: one that fails takes no other along
                subprocess.run([*pip, package], check=False, capture_output=True)
        if not _has(python, modules):
            raise Unavailable(f"PyPI did not give {', '.join(modules)}")
        return python

    @cache  # noqa: B019
    def program(self, package: str, name: str) -> Path:
        """A program from PyPI, in an environment of its own."""
        program = self.path / package / "bin" / name
        if not program.exists():
            say(f"installing {package} from PyPI")
            _run([sys.executable, "-m", "venv", self.path / package])
            pip = [self.path / package / "bin/python", "-m", "pip", "install", "-q"]
            _run([*pip, "--disable-pip-version-check", package])
        if not program.exists():
            raise Unavailable(f"PyPI did not give {name}")
        return program

    @cache  # noqa: B019
    def node(self, package: str) -> Path:
        """The directory that holds node_modules with the package, one for each package."""
        if not shutil.which("node") or not shutil.which("npm"):
            raise Unavailable("node and npm are not installed")
        directory = self.path / f"node-{package}"
        if not (directory / "node_modules" / package).is_dir():
            say(f"installing {package} from npm")
            directory.mkdir(exist_ok=True)
            _run(["npm", "install", "--no-save", "--silent", package], directory)
        return directory

    @cache  # noqa: B019
    def debian(self) -> Path:
        """The root that the missing packages were unpacked into."""
        root = self.path / "debian"
        stamp = root / "unpacked"
        if stamp.exists():
            return root
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            raise Unavailable("there is no apt-get here")
        say("unpacking peers from Debian")
        simulated = _run(
            ["apt-get", "install", "--simulate", "--no-install-recommends", *DEBIAN_PEERS]
        )
        missing = [line.split()[1] for line in simulated.splitlines() if line[:5] == "Inst "]
        packages = root / "packages"
        packages.mkdir(parents=True, exist_ok=True)
        if missing:
            _run(["apt-get", "download", *missing], packages)
        for package in packages.glob("*.deb"):
            _run(["dpkg", "-x", package, root])
        stamp.touch()
        return root

    def debian_file(self, *candidates: str) -> Path:
        """The first of these paths that exists, unpacked or installed."""
        root = self.debian()
        for place in (root, Path("/")):
            for name in candidates:
                if (place / name).exists():
                    return place / name
        raise Unavailable(f"Debian did not give {candidates[0]}")

    def library_path(self) -> dict[str, str]:
        """The environment in which unpacked programs find their libraries."""
        found = sorted({str(p.parent) for p in self.debian().glob("usr/lib/**/*.so*")})
        return {"LD_LIBRARY_PATH": ":".join(found)}


def _has(python: Path, modules: tuple[str, ...]) -> bool:
    code = "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    done = subprocess.run([python, "-c", code, *modules], check=False, capture_output=True)
    return done.returncode == 0


def _run(command: list[str | Path], directory: Path | None = None) -> str:
    done = subprocess.run(command, check=False, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{Path(command[0]).name} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
