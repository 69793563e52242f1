"""The live page for browsers. Its files hold no data, so they need no token."""

from functools import partial
from pathlib import Path

from flask import Blueprint, Response

from cortex_server.api.endpoint import add_get

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
    add_get(pages, "/", partial(file_response, "index.html"), "index")
    for name in FILES:
        if not name.endswith(".html"):
            view = partial(file_response, name)
            add_get(pages, f"/static/{name}", view, name.replace(".", "_"))
    return pages


def file_response(name: str) -> Response:
    """One of our files. `no-cache`: a browser asks again, so an upgrade is seen at once."""
    response = Response((STATIC / name).read_bytes(), content_type=FILES[name])
    response.headers["Cache-Control"] = "no-cache"
    return response
