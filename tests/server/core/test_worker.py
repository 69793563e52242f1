"""When the worker may answer plain requests itself, and how long the next one may take."""

import socket
from time import monotonic

import pytest
from gunicorn.config import Config

from cortex_server.worker import CortexWorker, _Connection, _Listener


def worker(address=("127.0.0.1", 4747), **settings):
    """A worker that was never started, with these settings of gunicorn's."""
    made = CortexWorker.__new__(CortexWorker)
    made.cfg = Config()
    for name, value in settings.items():
        made.cfg.settings[name].value = value
    made._listeners = {1: _Listener(address)}
    return made


# False: what "off" was called before gunicorn 24
@pytest.mark.parametrize("settings", [{}, {"proxy_protocol": False}, {"limit_request_line": 0}])
def test_plain_requests_are_answered_without_gunicorn(settings):
    assert worker(**settings)._takes_plain


@pytest.mark.parametrize(
    "settings",
    [
        {"accesslog": "-"},
        {"pre_request": lambda worker, req: None},
        {"post_request": lambda worker, req, environ, resp: None},
        {"proxy_protocol": "auto"},
        {"proxy_protocol": True},
        {"keepalive": 0},
        {"certfile": "a.pem"},
        {"statsd_host": ("127.0.0.1", 8125)},
        {"limit_request_fields": 10},
        {"limit_request_line": 100},
        {"limit_request_field_size": 100},
        {"address": "/run/cortex.sock"},
    ],
    ids=",".join,
)
def test_what_only_gunicorn_honours_turns_that_off(settings):
    assert not worker(**settings)._takes_plain


def test_a_request_that_came_with_the_last_one_has_the_whole_time_for_its_rest():
    one, other = socket.socketpair()
    with one, other:
        connection = _Connection(one, requests=1, late_at=monotonic() - 1)
        assert worker(keepalive=5)._next_bytes(connection, b"GET /") == b"GET /"
        assert connection.late_at > monotonic() + 4
        assert connection.waiting_since is None
