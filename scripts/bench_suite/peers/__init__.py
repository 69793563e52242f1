"""The other servers: a small application of our own each, and how to start it."""

import shutil
from collections.abc import Callable
from pathlib import Path

from scripts.bench_suite import http
from scripts.bench_suite.install import Home
from scripts.bench_suite.program import Program, Unavailable, free_port
from scripts.bench_suite.target import PAYLOAD_BYTES, Target, text

HERE = Path(__file__).resolve().parent
CONNECTIONS = 12_000


def start(name: str, home: Home) -> Target:
    """Start the peer. Raises Unavailable when it cannot be had here."""
    target = Target(name, home.run_directory(name), free_port())
    target.subscribe = http.request("GET", "/events", b"", {"Accept": "text/event-stream"})
    target.publish = lambda number: http.request(
        "POST", "/publish", text(PAYLOAD_BYTES), {"Content-Type": "text/plain"}
    )
    try:
        PEERS[name](target, home)
    except BaseException:
        target.__exit__(Unavailable, None, None)
        raise
    return target


def _uvicorn(target: Target, python: Path, application: str) -> None:
    command = [
        python, "-m", "uvicorn", "--app-dir", HERE, "--port", str(target.port), "--loop", "uvloop",
        "--http", "httptools", "--no-access-log", "--backlog", "4096", f"{application}:app",
    ]  # fmt: skip
    target.run(Program(command, target.directory / "server.log"))


def _sse_starlette(target: Target, home: Home) -> None:
    _uvicorn(target, home.python("sse_starlette", "uvloop", "httptools"), "sse_starlette_app")


def _django_eventstream(target: Target, home: Home) -> None:
    python = home.python("django_eventstream", "uvloop", "httptools")
    target.subscribe = http.request("GET", "/events/", b"", {"Accept": "text/event-stream"})
    _uvicorn(target, python, "django_eventstream_app")


def gunicorn(target: Target, python: Path, application: str, **env: str) -> None:
    """A Flask application in the same kind of worker as ours."""
    command = [
        python, "-m", "gunicorn", "--chdir", HERE, "--bind", f"127.0.0.1:{target.port}",
        "--worker-class", "gevent", "--worker-connections", str(CONNECTIONS),
        "--backlog", "4096", "--graceful-timeout", "2", "--keep-alive", "60",
        "--no-control-socket", f"{application}:app",
    ]  # fmt: skip
    target.run(Program(command, target.directory / "server.log", env))


def _flask_sse(target: Target, home: Home) -> None:
    python = home.python("flask_sse", "gevent", "gunicorn")
    target.greets = False  # gunicorn sends a head with the first chunk
    redis, port = home.debian_file("usr/bin/redis-server"), free_port()
    command = [
        redis, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
        "--maxclients", str(CONNECTIONS), "--dir", target.directory,
    ]  # fmt: skip
    log = target.directory / "redis.log"
    target.run(Program(command, log, home.library_path()), port)
    gunicorn(target, python, "flask_sse_app", REDIS_URL=f"redis://127.0.0.1:{port}")


def _better_sse(target: Target, home: Home) -> None:
    modules = home.node("better-sse")
    command = ["node", HERE / "better_sse_app.mjs", modules, str(target.port)]
    target.run(Program(command, target.directory / "server.log"))


NGINX = """
load_module {module};
daemon off; master_process off; pid nginx.pid; error_log stderr warn;
events {{ worker_connections {connections}; }}
http {{
    access_log off; keepalive_requests 100000000; nchan_shared_memory_size 512M;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        nchan_message_buffer_length 10000; nchan_message_timeout 60s;
        location = /events {{
            nchan_subscriber eventsource; nchan_channel_id bench;
            nchan_subscriber_first_message newest;
        }}
        location = /publish {{ nchan_publisher http; nchan_channel_id bench; }}
    }}
}}
"""


def _nchan(target: Target, home: Home) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    configuration = NGINX.format(
        module=home.debian_file("usr/lib/nginx/modules/ngx_nchan_module.so"),
        connections=CONNECTIONS,
        port=target.port,
    )
    (target.directory / "nginx.conf").write_text(configuration, encoding="utf-8")
    command = [nginx or home.debian_file("usr/sbin/nginx"), "-p", target.directory, "-c"]
    log = target.directory / "server.log"
    target.run(Program([*command, target.directory / "nginx.conf"], log, home.library_path()))


PEERS: dict[str, Callable[[Target, Home], None]] = {
    "nchan": _nchan,
    "better-sse": _better_sse,
    "sse-starlette": _sse_starlette,
    "flask-sse": _flask_sse,
    "django-eventstream": _django_eventstream,
}
