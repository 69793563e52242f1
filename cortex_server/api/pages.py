"""The live page for browsers. Its files hold no data, so they need no token."""

from pathlib import Path

from flask import Blueprint, Response

STATIC = Path(__file__).parent.parent / "static"
# The files are named one by one: what is not here cannot be asked for.
FILES = {
    "index.html": "text/html; charset=utf-8",
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "board.js": "text/javascript; charset=utf-8",
    "docs.html": "text/html; charset=utf-8",
    "docs.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def blueprint() -> Blueprint:
    pages = Blueprint("pages", __name__)
    rule = {"methods": ["GET"], "provide_automatic_options": False}
    pages.add_url_rule("/", "index", lambda: file_response("index.html"), **rule)
    for name in FILES:
        if not name.endswith(".html"):
            pages.add_url_rule(f"/static/{name}", name.replace(".", "_"), _view(name), **rule)
    return pages


def file_response(name: str) -> Response:
    """One of our files. `no-cache`: a browser asks again, so an upgrade is seen at once."""
    response = Response((STATIC / name).read_bytes(), content_type=FILES[name])
    response.headers["Cache-Control"] = "no-cache"
    return response


def _view(name: str) -> object:
    return lambda: file_response(name)
