"""The index of words on SQLite: which tickets may hold a piece of text.

`ticket_search` is an FTS5 table of trigrams without the texts. Triggers keep it, in the transaction
that changes a ticket, so no writer can forget it. It answers with too many rather than too few:
whoever asks compares the texts of what it names.

The number of an entry is project, archived and number in one, so that entries come in the order of
a list and each project's own can be asked for alone. `ticket_search_projects` numbers the projects.
Without its row a project's tickets can be deleted at once: their entries stay and find nothing.

PostgreSQL has `pg_trgm`, where the owner of the database may create it.
"""

NUMBER_BITS = 32

_ENTRY = """(
    ((SELECT id FROM ticket_search_projects WHERE project = {row}.project) * 2 + {row}.archived)
    << 32 | {row}.number
)"""
# Every character begins a trigram, so that words of one or two can be looked up as beginnings.
_TEXT = "{row}.title || char(10) || {row}.body || char(10) || {row}.key || char(10) || char(10)"
_OLD = f"{_ENTRY}, {_TEXT}".format(row="old")
_NEW = f"{_ENTRY}, {_TEXT}".format(row="new")

SQLITE = (
    """CREATE TABLE ticket_search_projects (
    id INTEGER NOT NULL PRIMARY KEY,
    project TEXT NOT NULL UNIQUE
)""",
    """CREATE VIRTUAL TABLE ticket_search USING fts5(
    text, content='', columnsize=0, detail=none, tokenize='trigram'
)""",
    "CREATE VIRTUAL TABLE ticket_search_terms USING fts5vocab('ticket_search', 'row')",
    # Writers add, `domains.ticket_words.tidy` merges: a merge now and then took a writer 50 ms.
    "INSERT INTO ticket_search (ticket_search, rank) VALUES ('automerge', 0)",
    "INSERT INTO ticket_search (ticket_search, rank) VALUES ('crisismerge', 500)",
    """CREATE TRIGGER ticket_search_insert AFTER INSERT ON tickets BEGIN
    INSERT INTO ticket_search_projects (project) SELECT new.project WHERE NOT EXISTS (
        SELECT 1 FROM ticket_search_projects WHERE project = new.project);
    INSERT INTO ticket_search (rowid, text) VALUES (NEW_ENTRY);
END""".replace("NEW_ENTRY", _NEW),
    """CREATE TRIGGER ticket_search_update AFTER UPDATE OF title, body, archived ON tickets
WHEN old.title IS NOT new.title OR old.body IS NOT new.body OR old.archived IS NOT new.archived
BEGIN
    INSERT INTO ticket_search (ticket_search, rowid, text) VALUES ('delete', OLD_ENTRY);
    INSERT INTO ticket_search (rowid, text) VALUES (NEW_ENTRY);
END""".replace("OLD_ENTRY", _OLD).replace("NEW_ENTRY", _NEW),
    """CREATE TRIGGER ticket_search_delete AFTER DELETE ON tickets
WHEN EXISTS (SELECT 1 FROM ticket_search_projects WHERE project = old.project)
BEGIN
    INSERT INTO ticket_search (ticket_search, rowid, text) VALUES ('delete', OLD_ENTRY);
END""".replace("OLD_ENTRY", _OLD),
)
