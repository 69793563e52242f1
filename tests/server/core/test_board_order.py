"""The order of the cards, against a plain list, whatever is done, with archived cards beside."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select

from cortex_server.db import schema
from cortex_server.domains import projects, tickets
from cortex_server.store import Store
from tests.support.clocks import ManualClock
from tests.support.databases import empty_engine
from tests.support.stores import ALICE

COLUMNS = ("todo", "doing", "done")
columns = st.sampled_from(COLUMNS)
positions = st.none() | st.integers(min_value=0, max_value=8)
picks = st.integers(min_value=0, max_value=10**6)


class Board(RuleBasedStateMachine):
    """model: the keys of each column in order. hidden: archived keys, and their column."""

    @initialize()
    def make(self):
        self.store = Store(empty_engine("sqlite"), ManualClock())
        self.model = {name: [] for name in COLUMNS}
        self.hidden = {}
        fields = {"key": "CTX", "name": "x", "columns": [{"name": name} for name in COLUMNS]}
        with self.store.write(ALICE) as tx:
            self.project = projects.create(tx, fields)

    def shown(self, pick):
        keys = [key for column in self.model.values() for key in column]
        return keys[pick % len(keys)]

    def change(self, verb, key, *arguments):
        with self.store.write(ALICE) as tx:
            return verb(tx, tickets.get(tx, key), *arguments, None)

    def insert(self, column, key, position):
        order = self.model[column]
        order.insert(len(order) if position is None else min(position, len(order)), key)

    def remove(self, key):
        for order in self.model.values():
            if key in order:
                order.remove(key)

    @rule(column=columns, position=positions)
    def create(self, column, position):
        fields = {"title": "x", "status": column, "position": position}
        with self.store.write(ALICE) as tx:
            key = tickets.create(tx, self.project, fields).key
        self.insert(column, key, position)

    @precondition(lambda self: any(self.model.values()))
    @rule(pick=picks, column=columns, position=positions)
    def move(self, pick, column, position):
        key = self.shown(pick)
        before = {name: list(order) for name, order in self.model.items()}
        self.remove(key)
        self.insert(column, key, position)
        head = self.store.published
        self.change(tickets.move, key, column, position)
        assert self.store.published == head + (before != self.model)

    @precondition(lambda self: any(self.model.values()))
    @rule(pick=picks, column=columns)
    def patch_status(self, pick, column):
        key = self.shown(pick)
        if key not in self.model[column]:
            self.remove(key)
            self.insert(column, key, None)
        self.change(tickets.patch, key, {"status": column})

    @precondition(lambda self: any(self.model.values()))
    @rule(pick=picks)
    def archive(self, pick):
        key = self.shown(pick)
        column = next(name for name in COLUMNS if key in self.model[name])
        self.hidden[key] = column
        self.remove(key)
        self.change(tickets.patch, key, {"archived": True})

    @precondition(lambda self: self.hidden)
    @rule(pick=picks)
    def restore(self, pick):
        """It goes back to where its rank is; the model asks, and the others must not move."""
        key = sorted(self.hidden)[pick % len(self.hidden)]
        column = self.hidden.pop(key)
        self.change(tickets.patch, key, {"archived": False})
        self.model[column].insert(self.placed(key), key)

    @precondition(lambda self: self.hidden)
    @rule(pick=picks, column=columns, position=positions)
    def move_hidden(self, pick, column, position):
        key = sorted(self.hidden)[pick % len(self.hidden)]
        self.change(tickets.move, key, column, position)
        self.hidden[key] = column

    @precondition(lambda self: any(self.model.values()))
    @rule(pick=picks)
    def delete(self, pick):
        key = self.shown(pick)
        self.remove(key)
        self.change(tickets.delete, key)

    @precondition(lambda self: any(self.model.values()))
    @rule(pick=picks, position=st.integers(min_value=0, max_value=8))
    def archive_then_squeeze(self, pick, position):
        """Into the gap that an archived card still holds."""
        self.archive(pick)
        self.create(self.hidden[max(self.hidden)], position)

    @rule()
    def drop_a_column(self):
        """Its cards go to the end of another, archived ones too, and it comes back empty."""
        with self.store.write(ALICE) as tx:
            kept = [{"name": name} for name in COLUMNS[:2]]
            changes = {"columns": kept, "move_tickets_to": "todo"}
            projects.patch(tx, projects.get(tx, "CTX"), changes, None)
            every = {"columns": [{"name": name} for name in COLUMNS]}
            self.project = projects.patch(tx, projects.get(tx, "CTX"), every, None)
        self.model["todo"] += self.model["done"]
        self.model["done"] = []
        self.hidden = {k: "todo" if c == "done" else c for k, c in self.hidden.items()}

    def placed(self, key):
        with self.store.read() as tx:
            return tickets.placed(tx, tickets.get(tx, key)).position

    @invariant()
    def the_board_is_the_model(self):
        if not hasattr(self, "store"):
            return
        with self.store.read() as tx:
            rows = tx.conn.execute(select(schema.tickets).order_by(schema.tickets.c.rank)).all()
            doubled = tx.conn.scalar(
                select(func.count())
                .select_from(schema.tickets)
                .group_by(schema.tickets.c.status, schema.tickets.c.rank)
                .having(func.count() > 1)
            )
        assert doubled is None, "two cards of a column have the same rank"
        for name in COLUMNS:
            order = [row.key for row in rows if row.status == name and not row.archived]
            assert order == self.model[name]
        assert {row.key: row.status for row in rows if row.archived} == self.hidden
        for name in COLUMNS:
            for position, key in enumerate(self.model[name][:3]):
                assert self.placed(key) == position


TestBoardOrder = Board.TestCase
TestBoardOrder.settings = settings(
    max_examples=8,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
