"""Which tickets may hold some words, by the index of SQLite (`db.search`).

It names candidates in the order of a list: every ticket that holds the words is among them, and
some that do not. The caller compares their texts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import count, product

from sqlalchemy import text

from cortex_server.db.engine import is_sqlite
from cortex_server.db.search import NUMBER_BITS
from cortex_server.domains.rows import let_others_run
from cortex_server.store import ReadTx, WriteTx

TRIGRAM = 3
_TRIGRAMS_MAX = 60  # of all words together: more make a query longer and name no fewer
_BEGINNINGS_MAX = 64  # trigrams that begin with a short word; one with more is in many texts
_MERGED_PAGES = 16  # some 10 ms
_LAST = "\U0010ffff"

_IN_RANGE = text(
    "SELECT rowid FROM ticket_search"
    " WHERE ticket_search MATCH :expression AND rowid > :after AND rowid < :before"
    " ORDER BY rowid LIMIT :most"
)
_ANYWHERE = text(
    "SELECT p.project || '-' || (s.rowid & :mask) FROM"
    " (SELECT rowid FROM ticket_search WHERE ticket_search MATCH :expression LIMIT :most) s"
    " CROSS JOIN ticket_search_projects p ON p.id = s.rowid >> :shift"
)
_PROJECT = text("SELECT id FROM ticket_search_projects WHERE project = :project")
_BEGINNINGS = text(
    "SELECT term FROM ticket_search_terms WHERE term >= :first AND term <= :last LIMIT :most"
)
_MERGE = text("INSERT INTO ticket_search (ticket_search, rank) VALUES ('merge', :pages)")
_FORGET = text("DELETE FROM ticket_search_projects WHERE project = :project")
_CHANGES = text("SELECT total_changes()")


@dataclass(frozen=True)
class Half:
    """The tickets of a project that are archived, or those that are not, behind a number."""

    project: str
    archived: bool
    after: int = 0


def expression(tx: ReadTx, words: list[str]) -> str | None:
    """What to ask the index for tickets that may hold all the words; None when it cannot tell.

    Words of one or two characters are looked up only where there is no longer one: by the trigrams
    that begin with them.
    """
    long = [word for word in words if len(word) >= TRIGRAM]
    if not long:
        parts = [_beginnings(tx, word) for word in words]
        return " AND ".join(f"({part})" for part in parts if part) or None
    room = max(_TRIGRAMS_MAX // len(long), 1)
    parts = [
        _alternatives(_joined(_trigrams(form, room)) for form in _forms(word)) for word in long
    ]
    return " AND ".join(f"({part})" for part in parts)


def anywhere(tx: ReadTx, wanted: str, most: int) -> list[str] | None:
    """The keys of all candidates, in no order; None when there are more than `most`."""
    given = {
        "expression": wanted, "most": most + 1, "shift": NUMBER_BITS + 1,
        "mask": (1 << NUMBER_BITS) - 1,
    }  # fmt: skip
    keys = list(tx.conn.scalars(_ANYWHERE, given))
    return None if len(keys) > most else keys


def in_order(tx: ReadTx, wanted: str, halves: list[Half], first: int) -> Iterator[list[str]]:
    """The keys of the candidates of one project by number, in batches that grow from `first`."""
    numbers = merge(*(_numbers(tx, wanted, half, first) for half in halves))
    project = halves[0].project
    for size in _growing(first):
        batch = [f"{project}-{number}" for number, _ in zip(numbers, range(size), strict=False)]
        if not batch:
            return
        yield batch
        let_others_run()


def tidy(tx: WriteTx) -> bool:
    """Merge a bounded part of what writers added to the index. Returns whether more is left.

    Only on SQLite. What is small and new is kept apart until there are four of a size.
    """
    before = tx.conn.scalar(_CHANGES)
    tx.conn.execute(_MERGE, {"pages": _MERGED_PAGES})
    return bool(tx.conn.scalar(_CHANGES) - before > 1)


def forget_project(tx: WriteTx, project: str) -> None:
    """Let the tickets of a project be deleted without taking each of them out of the index."""
    if is_sqlite(tx.conn):
        tx.conn.execute(_FORGET, {"project": project})


def _numbers(tx: ReadTx, wanted: str, half: Half, first: int) -> Iterator[int]:
    ordinal = tx.conn.scalar(_PROJECT, {"project": half.project})
    if ordinal is None:
        return
    base = (ordinal * 2 + half.archived) << NUMBER_BITS
    after = base + half.after
    for size in _growing(first):
        given = {
            "expression": wanted, "after": after, "before": base + (1 << NUMBER_BITS), "most": size,
        }  # fmt: skip
        entries = list(tx.conn.scalars(_IN_RANGE, given))
        yield from (entry - base for entry in entries)
        if len(entries) < size:
            return
        after = entries[-1]


def _forms(word: str) -> Iterable[str]:
    """As it is looked for in texts: in lower case, and as it is written."""
    return dict.fromkeys([word.lower(), word])


def _folded(word: str) -> set[str]:
    """How the index may have a short word: it folds each character alone, some as Python does not.

    A micro sign becomes the Greek letter, and a final sigma the other one.
    """
    return {
        "".join(characters)
        for form in _forms(word)
        for characters in product(*({c, c.lower(), c.casefold()} for c in form[:TRIGRAM]))
    }


def _beginnings(tx: ReadTx, word: str) -> str | None:
    found: set[str] = set()
    for form in _folded(word):
        given = {"first": form, "last": form + _LAST, "most": _BEGINNINGS_MAX + 1}
        found.update(tx.conn.scalars(_BEGINNINGS, given))
    if len(found) > _BEGINNINGS_MAX:
        return None
    return _alternatives(map(_quoted, sorted(found) or [word.ljust(TRIGRAM, "\n")]))


def _growing(first: int) -> Iterator[int]:
    """Sizes of batches: most pages need one, and a long search should not take a thousand."""
    return (min(first * 2**turn, 900) for turn in count())


def _trigrams(word: str, most: int) -> list[str]:
    found = (word[start : start + TRIGRAM] for start in range(len(word) - TRIGRAM + 1))
    return list(dict.fromkeys(found))[:most]


def _joined(pieces: Iterable[str]) -> str:
    return "(" + " AND ".join(map(_quoted, pieces)) + ")"


def _alternatives(expressions: Iterable[str]) -> str:
    return " OR ".join(dict.fromkeys(expressions))


def _quoted(piece: str) -> str:
    return '"' + piece.replace('"', '""') + '"'
