"""Search: every word occurs in the title, the body or the key; the same on both databases."""

import itertools
import random

import pytest

from cortex_server.db.engine import is_sqlite
from cortex_server.domains import projects, ticket_lists, ticket_words, tickets
from cortex_server.domains.tickets import TicketFilter
from cortex_server.store import SYSTEM

TEXTS = {
    "quotes": """say "hello" and 'bye' AND (this OR that) NOT* ^first -minus col:on""",
    "marks": "50% of snake_case in C:\\temp and a/b",
    "emoji": "a rocket 🚀🌍🎉 and a family 👨‍👩‍👧",
    "accents": "naïve café, ÉCOLE, straße, Über alles",
    "chinese": "搜索很快",
    "greek": "ΣΊΣΥΦΟΣ",
    "long": "start " + "filler " * 20_000 + "theveryend",
    "end": "it ends with xq",
    "signs": "5 µs, 7 µß, ſo, ς and i\u0307i\u0307 too",
}

FOUND = [
    ('"hello"', ["quotes"]),
    ("hello", ["quotes"]),
    ("AND", ["quotes", "marks", "emoji", "signs"]),
    ("OR", ["quotes"]),
    ("NOT*", ["quotes"]),
    ("^first -minus col:on", ["quotes"]),
    ("(this that)", ["quotes"]),
    ("'bye'", ["quotes"]),
    ("hello zebra", []),
    ('""', []),
    ("50%", ["marks"]),
    ("%", ["marks"]),
    ("5%0", []),
    ("snake_case", ["marks"]),
    ("snakexcase", []),
    ("snake%case", []),
    ("c:\\TEMP", ["marks"]),
    ("\\", ["marks"]),
    ("a/b", ["marks"]),
    ("🚀", ["emoji"]),
    ("🚀🌍", ["emoji"]),
    ("🚀🌍🎉", ["emoji"]),
    ("🌍🚀", []),
    ("👨‍👩‍👧", ["emoji"]),
    ("café", ["accents"]),
    ("cafe", []),
    ("ÉCOLE", ["accents"]),
    ("ÜBER", ["accents"]),
    ("Über", ["accents"]),
    ("STRAßE", ["accents"]),
    ("strasse", []),
    ("搜", ["chinese"]),
    ("索很", ["chinese"]),
    ("搜索很", ["chinese"]),
    ("很快", ["chinese"]),
    ("快很", []),
    ("ΣΊΣΥΦΟΣ", ["greek"]),
    ("theveryend", ["long"]),
    ("verynd", []),
    ("xq", ["end"]),
    ("XQ", ["end"]),
    ("qx", []),
    ("q", ["quotes", "end"]),
    ("ends xq", ["end"]),
    ("ctx-3", ["emoji"]),
    ("x-3", ["emoji"]),
    ("about end", ["long", "end"]),
]


@pytest.fixture
def texts(do, project):
    """A ticket for each text, by its name."""
    return {
        name: do(tickets.create, project, {"title": f"About {name}", "body": body}).key
        for name, body in TEXTS.items()
    }


@pytest.fixture
def found(see):
    """The keys of the tickets that hold the words, of all pages."""

    def call(words, limit=3, **wanted):
        keys, cursor = [], None
        while True:
            page = see(tickets.listing, TicketFilter(q=words, **wanted), limit, cursor)
            keys += [ticket.key for ticket in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return keys

    return call


def test_what_holds_all_the_words_is_found(texts, found):
    for words, names in FOUND:
        assert found(words) == [texts[name] for name in names], words


def test_letters_beyond_ascii_are_found_in_another_case_where_the_database_knows_it(
    texts, found, store
):
    """SQLite knows the case of ASCII only: there they are found as they are written."""
    assert found("ÉCOLE") == [texts["accents"]]
    assert found("école") == ([] if is_sqlite(store.engine) else [texts["accents"]])


def test_a_changed_ticket_is_found_by_what_it_holds_now(do, see, found, texts):
    ticket = see(tickets.get, texts["end"])
    do(tickets.patch, ticket, {"body": "zebra crossing", "title": "Anew"}, None)
    assert found("zebra") == found("crossing") == found("anew") == [ticket.key]
    assert found("ends with") == []
    do(tickets.delete, see(tickets.get, ticket.key), None)
    assert found("zebra") == []


def test_an_archived_ticket_is_found_where_archived_ones_are_asked_for(do, see, found, texts):
    ticket = see(tickets.get, texts["end"])
    do(tickets.patch, ticket, {"archived": True}, None)
    assert found("ends with") == []
    assert found("ends with", archived="true") == [ticket.key]
    assert found("about", archived="any") == list(texts.values())
    do(tickets.patch, see(tickets.get, ticket.key), {"archived": False}, None)
    assert found("ends with") == [ticket.key]
    assert found("ends with", archived="true") == []
    assert found("about", archived="any") == list(texts.values())


def test_what_was_in_a_deleted_project_is_not_found_in_a_new_one_of_its_key(do, found, texts):
    other = do(projects.create, {"key": "OLD", "name": "old"})
    do(tickets.create, other, {"title": "zebra one"})
    do(projects.delete, other, None)
    assert found("zebra") == []
    again = do(projects.create, {"key": "OLD", "name": "again"})
    do(tickets.create, again, {"title": "zebra two"})
    assert found("zebra", archived="any") == ["OLD-2"]
    assert found("zebra", project="OLD") == ["OLD-2"]


def test_a_change_that_is_rolled_back_leaves_nothing_to_find(store, project, found):
    def fails():
        with store.write(SYSTEM) as tx:
            tickets.create(tx, project, {"title": "zebra"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert found("zebra") == []


@pytest.fixture
def many(do, project, monkeypatch):
    """Sixty tickets in two projects, and batches that are soon full."""
    monkeypatch.setattr(ticket_lists, "_FEW", 4)
    monkeypatch.setattr(ticket_lists, "_FIRST", 2)
    monkeypatch.setattr(ticket_lists, "_MANY", 5)
    monkeypatch.setattr(ticket_words, "_BEGINNINGS_MAX", 2)
    other = do(projects.create, {"key": "ZED", "name": "z"})
    made = []
    for number, (of, archived) in enumerate(
        itertools.islice(itertools.cycle(itertools.product((project, other), (False, True))), 60)
    ):
        fields = {
            "title": f"number{number} {'even' if number % 2 == 0 else 'odd'} ~",
            "priority": "high" if number % 3 == 0 else "low",
            "labels": [f"l{number % 5}"],
            "assignee": "ann" if number % 7 == 0 else None,
        }
        ticket = do(tickets.create, of, fields)
        made.append(do(tickets.patch, ticket, {"archived": archived}, None))
    return made


PAGES = [
    ("number", {}, lambda t: True),
    ("~", {}, lambda t: True),
    ("e ~", {}, lambda t: True),
    ("even", {"archived": "any"}, lambda t: "even" in t.title),
    ("odd", {"archived": "true"}, lambda t: "odd" in t.title),
    ("number", {"archived": "any", "project": "ZED"}, lambda t: t.project == "ZED"),
    ("number", {"priority": "high"}, lambda t: t.priority == "high"),
    ("number", {"label": "L2", "archived": "any"}, lambda t: t.labels == ["l2"]),
    (
        "number even",
        {"label": "l0", "priority": "high", "archived": "any"},
        lambda t: "even" in t.title and t.labels == ["l0"] and t.priority == "high",
    ),
    (None, {"assignee": "ann", "archived": "any"}, lambda t: t.assignee == "ann"),
    (
        None,
        {"assignee": "ann", "label": "l1", "archived": "any"},
        lambda t: t.assignee == "ann" and t.labels == ["l1"],
    ),
    (
        "1",
        {"readable": frozenset(["ZED"])},
        lambda t: t.project == "ZED" and "1" in t.title + t.key,
    ),
    ("zed-1", {"archived": "any"}, lambda t: t.key.startswith("ZED-1")),
    ("nothing", {}, lambda t: False),
]


@pytest.mark.parametrize("limit", [1, 4, 100])
def test_pages_hold_each_ticket_once_and_in_order(many, found, limit):
    many.sort(key=lambda ticket: (ticket.project, ticket.number))
    for words, wanted, holds in PAGES:
        archived = {"any": (False, True), "true": (True,)}.get(wanted.get("archived"), (False,))
        expected = [t.key for t in many if holds(t) and t.archived in archived]
        assert found(words, limit, **wanted) == expected, (words, wanted)


def test_the_index_of_sqlite_finds_the_same_after_it_was_tidied(store, many, found):
    before = found("number3", archived="any")
    merges = 0
    while is_sqlite(store.engine):
        with store.write(SYSTEM) as tx:
            if not ticket_words.tidy(tx):
                break
        merges += 1
    assert bool(merges) == is_sqlite(store.engine)
    assert found("number3", archived="any") == before != []


@pytest.mark.parametrize("word", ["µ", "µs", "µß", "ς", "ſ", "ſo", "İİ"])
def test_a_short_word_is_found_whose_letters_the_index_folds(many, texts, found, word):
    assert found(word) == [texts["signs"]]


@pytest.mark.parametrize("word", ["j", "qj", "QJ", "ßj", "İ"])
def test_a_short_word_that_no_ticket_holds_is_not_found(many, found, word):
    assert found(word) == found(word, project="ZED") == []


LETTERS = 'abcÄäµ_%"\\'


@pytest.fixture
def crowd(store, monkeypatch):
    """Tickets of short words in four projects, in the order of a list; all ways are taken."""
    monkeypatch.setattr(ticket_lists, "_FEW", 25)
    monkeypatch.setattr(ticket_lists, "_FIRST", 5)
    monkeypatch.setattr(ticket_lists, "_MANY", 60)
    monkeypatch.setattr(ticket_words, "_BEGINNINGS_MAX", 20)
    chance = random.Random(1)
    made = []
    with store.write(SYSTEM) as tx:
        for key in ("AA", "BB", "CC", "DD"):
            project = projects.create(tx, {"key": key, "name": key})
            for _ in range(100):
                words = ("".join(chance.choices(LETTERS, k=chance.randint(1, 4))) for _ in range(3))
                fields = {"title": " ".join(words), "body": chance.choice(["", "x", "ab"])}
                ticket = tickets.create(tx, project, fields)
                archived = chance.random() < 0.3
                made.append(tickets.patch(tx, ticket, {"archived": archived}, None))
    return made


def folded(text, of_sqlite):
    if of_sqlite:
        return "".join(letter.lower() if letter.isascii() else letter for letter in text)
    return text.lower()


@pytest.mark.slow
def test_random_searches_find_what_a_comparison_of_all_texts_finds(store, crowd, found):
    of_sqlite = is_sqlite(store.engine)

    def holds(ticket, word):
        texts = [folded(text, of_sqlite) for text in (ticket.title, ticket.body, ticket.key)]
        forms = (word.lower(), folded(word, of_sqlite))
        return any(form in text for form in forms for text in texts)

    chance = random.Random(2)
    for _ in range(200):
        words = [
            "".join(chance.choices(LETTERS, k=chance.choice([1, 2, 2, 3])))
            for _ in range(chance.choice([1, 1, 2]))
        ]
        wanted = {
            "archived": chance.choice(["false", "true", "any"]),
            "project": chance.choice([None, None, "AA", "CC"]),
            "readable": chance.choice([None, None, frozenset(["AA", "CC", "DD"])]),
        }
        limit = chance.choice([7, 20, 200])
        expected = [
            ticket.key
            for ticket in crowd
            if wanted["archived"] in ("any", str(ticket.archived).lower())
            and wanted["project"] in (None, ticket.project)
            and (wanted["readable"] is None or ticket.project in wanted["readable"])
            and all(holds(ticket, word) for word in words)
        ]
        assert found(" ".join(words), limit, **wanted) == expected, (words, wanted, limit)
