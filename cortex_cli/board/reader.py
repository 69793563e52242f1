"""Where the reader of the open ticket is: scrolling, the parts that { and } go to, and what keeps
the place on the screen when text comes in above it."""

from bisect import bisect_left, bisect_right
from dataclasses import replace

from cortex_cli.board import document
from cortex_cli.board.model import DIFF, LOG, Detail, Model
from cortex_cli.board.sheets import Spot


def scroll(model: Model, by: int) -> Model:
    """Scroll by lines. Up from the end stops following it; back at the end follows it again."""
    detail = model.detail
    if detail is None:
        return model
    at = document.look(model, detail)
    return put(model, detail, at, min(at.sheet.walk(at.top, by), at.bottom))


def first(model: Model) -> Model:
    detail = model.detail
    return put(model, detail, document.look(model, detail), (0, 0)) if detail else model


def last(model: Model) -> Model:
    """To the end, and follow it, whatever the tab."""
    detail = model.detail
    if detail is None:
        return model
    paused = {tab: mark for tab, mark in detail.paused.items() if tab != detail.tab}
    return replace(model, detail=replace(detail, paused=paused))


def part(model: Model, by: int) -> Model:
    """To the next or previous file of a diff, message of a conversation."""
    detail = model.detail
    if detail is None:
        return model
    at = document.look(model, detail)
    heads = at.sheet.heads()
    index, row = at.top
    if by > 0:
        number = bisect_right(heads, index)
        target = (heads[number], 0) if number < len(heads) else at.bottom
    else:
        number = bisect_left(heads, index if row == 0 else index + 1) - 1
        target = (heads[number], 0) if number >= 0 else (0, 0)
    return put(model, detail, at, min(target, at.bottom))


def put(model: Model, detail: Detail, at: document.Look, top: Spot, stay: bool = False) -> Model:
    """Show the document from there on. stay: do not follow its end, even there."""
    paused = dict(detail.paused)
    cut = detail.tab == LOG and detail.log is not None and detail.log.cut
    at_end = top >= at.bottom and not stay and not cut
    if at_end and detail.tab not in ("", DIFF):
        paused.pop(detail.tab, None)
    elif at_end or detail.tab not in paused:
        paused[detail.tab] = document.mark(model, detail)
    places = {**detail.places, detail.tab: at.sheet.place(top)}
    return replace(model, detail=replace(detail, places=places, paused=paused))


def keep_place(before: Model, after: Model, tab: str) -> Model:
    """`after`, with what was on the screen of a tab on the same rows as `before`."""
    if before.detail is None or after.detail is None or tab not in after.detail.paused:
        return after
    was = document.look(before, replace(before.detail, tab=tab))
    edge = was.sheet.first
    for offset, (index, row) in enumerate(was.sheet.rows(was.top, was.rows)):
        if index < edge:
            continue
        now = document.sheet(after, replace(after.detail, tab=tab))
        found = now.find(was.sheet.key(index))
        if found is None:
            return after
        inner = was.sheet.block(index).rows.index(row)
        top = now.walk((found, inner), -offset)
        places = {**after.detail.places, tab: now.place(top)}
        return replace(after, detail=replace(after.detail, places=places))
    return after


def page(model: Model) -> int:
    """Lines that a page holds."""
    return max(1, document.body(model)[1] - 1)
