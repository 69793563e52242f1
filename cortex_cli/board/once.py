"""The board or the dashboard, printed once: for pipes, scripts, and where there is no screen."""

import json
import os
import sys
import time
from dataclasses import replace
from typing import Any, TextIO

from cortex_cli.board import cards, dashboard_lines, layout
from cortex_cli.board.canvas import Canvas, Row
from cortex_cli.board.merged import Merged, fold
from cortex_cli.board.model import Connection, Everything, Model
from cortex_cli.board.selection import settle
from cortex_cli.board.view import view
from cortex_cli.board.wire import Board
from cortex_cli.sdk import CortexClient, url_path

JSON_VERSION = 1
DEFAULT_WIDTH = 120


def print_board(
    client: CortexClient,
    project: str,
    *,
    as_json: bool = False,
    width: int | None = None,
    out: TextIO | None = None,
    ascii_only: bool = False,
) -> None:
    """Print the board of a project, as people read it or as JSON with a version.

    width: None is that of the terminal, or 120. Raises the SDK's errors.
    """
    out = out or sys.stdout
    body: dict[str, Any] = client.get(url_path("api", "projects", project, "board"))
    if as_json:
        out.write(json.dumps({"version": JSON_VERSION, "board": body}, ensure_ascii=True) + "\n")
        return
    out.write(picture(Board.read(body), width or out_width(out), ascii_only))


def print_everything(
    client: CortexClient,
    *,
    as_json: bool = False,
    width: int | None = None,
    out: TextIO | None = None,
    ascii_only: bool = False,
) -> None:
    """Print the boards of all projects as one; as JSON each for itself. Raises the SDK's errors."""
    out = out or sys.stdout
    keys = [str(item["key"]) for item in client.paginate("/api/projects")]
    bodies = [client.get(url_path("api", "projects", key, "board")) for key in keys]
    if as_json:
        shown = {"version": JSON_VERSION, "boards": bodies}
        out.write(json.dumps(shown, ensure_ascii=True) + "\n")
        return
    boards = [Board.read(body) for body in bodies]
    merged = Merged.of_parts({fold(board.project.key): board for board in boards})
    out.write(picture(merged, width or out_width(out), ascii_only))


def print_dashboard(
    client: CortexClient,
    *,
    as_json: bool = False,
    width: int | None = None,
    out: TextIO | None = None,
    ascii_only: bool = False,
) -> None:
    """Print all projects at a glance, as `print_board` prints one. Raises the SDK's errors."""
    out = out or sys.stdout
    body: dict[str, Any] = client.get("/api/dashboard")
    if as_json:
        shown = {"version": JSON_VERSION, "dashboard": body}
        out.write(json.dumps(shown, ensure_ascii=True) + "\n")
        return
    out.write(overview(body, width or out_width(out), time.time(), ascii_only))


def overview(body: dict[str, Any], width: int, now: float, ascii_only: bool = False) -> str:
    """The dashboard as lines of text."""
    lines = dashboard_lines.rows(body, now, width)
    canvas = Canvas(width, len(lines), ascii_only)
    for y, row in enumerate(lines):
        canvas.put_line(y, 0, row.line)
    return _text([*canvas.rows()])


def out_width(out: TextIO) -> int:
    """The width to print for."""
    try:
        return os.get_terminal_size(out.fileno()).columns or DEFAULT_WIDTH  # 0: it does not know
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def picture(board: Board, width: int, ascii_only: bool = False) -> str:
    """The board as lines of text: side by side where the width allows, else one below the other."""
    model = Model(
        project=board.project.key, width=width, ascii_only=ascii_only, connection=Connection("live")
    )
    if isinstance(board, Merged):
        model = replace(model, everything=Everything())
    model = settle(model, replace(model, board=board))
    model = replace(model, selected=None, focus="")
    if width >= layout.WHOLE_WIDTH and width >= layout.NARROWEST_WHOLE * len(model.columns):
        return _side_by_side(model)
    return _stacked(model)


def _side_by_side(model: Model) -> str:
    model = replace(model, height=200)
    tallest = 1
    for box in layout.boxes(model):
        cells = layout.text_cells(model, box)
        tickets = model.columns[box.index].tickets
        tallest = max(tallest, sum(cards.height(model, ticket, cells) for ticket in tickets))
    model = replace(model, height=max(layout.LIST_HEIGHT, tallest + 4))
    rows = view(model, model.width, model.height)[1:-1]  # without the connection and the keys
    return _text([_summary(model), *rows[: tallest + 1], rows[-1]])


def _stacked(model: Model) -> str:
    lines: list[Row] = [_summary(model)]
    for shown in model.columns:
        count = cards.count(shown).text
        lines.append(_row(model, f"{shown.column.title} {count}"))
        for ticket in shown.tickets:
            canvas = Canvas(model.width, 1, model.ascii_only)
            canvas.put_line(0, 2, cards.one_line(model, ticket))
            lines.append(canvas.rows()[0])
    return _text(lines)


def _summary(model: Model) -> Row:
    assert model.board is not None
    total = len(model.board.tickets)
    empty = "  cortex ticket import FILE brings tickets" if not total else ""
    name = model.board.project.name
    return _row(
        model,
        f"{model.board.project.key}  {name}  {total} ticket{'' if total == 1 else 's'}{empty}",
    )


def _row(model: Model, text: str) -> Row:
    canvas = Canvas(model.width, 1, model.ascii_only)
    canvas.put(0, 0, text)
    return canvas.rows()[0]


def _text(rows: list[Row]) -> str:
    return "".join("".join(span.text for span in row).rstrip() + "\n" for row in rows)
