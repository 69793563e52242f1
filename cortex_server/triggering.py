"""Triggers at work: one process looks at the log and the clock, and sends the calls.

Nothing of this is part of a commit or of the hub: the log is read behind it, in pages, and calls
leave from the outbox in greenlets of their own.
"""

import json
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gevent
import structlog

from cortex_server import log, outgoing
from cortex_server.domains import firing, trigger_calls, triggers
from cortex_server.domains.firing import DEEPEST, Cause
from cortex_server.domains.trigger_calls import Sending
from cortex_server.domains.trigger_filters import expand, matches
from cortex_server.domains.triggers import Waiting
from cortex_server.errors import CortexError, CursorExpired, StorageFull, Unavailable
from cortex_server.events.work import Trigger
from cortex_server.log import LoggedEvent
from cortex_server.outgoing import Answered
from cortex_server.services import Services
from cortex_server.store import SYSTEM, WriteTx

PAGE = 200
LOOK_S = 0.2  # about so long one look takes: what else the reconciler does is due as well
STORE_S = 10.0  # how often it is stored how far triggers that did not fire have looked
SENDING_MAX, OF_ONE_MAX = 16, 4
GONE = 410  # the receiver will never take it
_log = structlog.get_logger(__name__)


class Triggering:
    """Fires what is due, and sends what has fired. One process does this at a time.

    Two that did so by mistake would fire once: whoever is second finds the cursor moved on.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._private = outgoing.networks(services.config.trigger_private_addresses)
        self._looked: dict[str, int] = {}  # by trigger; what is stored may be behind it
        self._looks, self._look_ends = 0, 0.0
        self._stored_at = 0.0
        self._sending: Counter[str] = Counter()
        self._greenlets: set[Any] = set()

    def look(self) -> None:
        """Fire what the clock and new events are to fire; what there is no time for comes next."""
        self._look_ends = self._services.clock.monotonic() + LOOK_S
        with self._services.store.read() as tx:
            head = log.state(tx.conn).head
            found, now = triggers.waiting(tx), tx.now
        self._looked = {w.trigger.id: self._cursor(w) for w in found}
        due = [(w.trigger.next_at, w.trigger) for w in found if w.trigger.next_at is not None]
        for due_at, trigger in sorted(due, key=lambda one: one[0]):
            if due_at > now or self._time_is_up():
                break
            self._fire_by_clock(trigger, due_at)
        behind: dict[tuple[str, int], list[Trigger]] = defaultdict(list)
        for one in found:
            cursor = self._looked[one.trigger.id]
            if "types" in one.trigger.on and cursor < head:
                behind[one.trigger.project, cursor].append(one.trigger)
        self._take_turns(behind)
        self._store(found)

    def send(self) -> None:
        """Begin to send calls that are due. Returns at once."""
        room = SENDING_MAX - self._sending.total()
        if room <= 0:
            return
        busy = [trigger for trigger, count in self._sending.items() if count >= OF_ONE_MAX]
        with self._services.store.read() as tx:
            due = trigger_calls.due(tx, busy, room)
        for call, trigger in due:
            if self._sending[trigger] < OF_ONE_MAX:
                self._sending[trigger] += 1
                greenlet = gevent.spawn(self._try, call, trigger)
                self._greenlets.add(greenlet)
                greenlet.rawlink(self._greenlets.discard)

    def wait(self) -> None:
        """Return when all calls that were begun have been answered, or not."""
        gevent.joinall(list(self._greenlets))

    def expire(self) -> None:
        """Forget what is old."""
        self._write(firing.expire)
        self._write(trigger_calls.expire)

    # events

    def _cursor(self, waiting: Waiting) -> int:
        return max(waiting.cursor, self._looked.get(waiting.trigger.id, 0))

    def _time_is_up(self) -> bool:
        return self._services.clock.monotonic() >= self._look_ends

    def _take_turns(self, behind: Mapping[tuple[str, int], list[Trigger]]) -> None:
        """Look at a page of events for each in turn, another one first each time.

        So one that has much to look at, or whose action takes long, holds up no other.
        """
        turns = deque((project, cursor, those) for (project, cursor), those in behind.items())
        self._looks += 1
        turns.rotate(-self._looks)
        while turns and not self._time_is_up():
            project, cursor, those = turns.popleft()
            cursor, those = self._follow(project, cursor, those)
            if those:
                turns.append((project, cursor, those))
            gevent.sleep(0)

    def _follow(self, project: str, cursor: int, those: list[Trigger]) -> tuple[int, list[Trigger]]:
        """Look at the project's next events, for triggers that have all come to the cursor.

        Returns up to where, and those that have more to look at.
        """
        try:
            with self._services.store.read() as tx:
                page = log.after(tx.conn, cursor, [project], PAGE)
        except CursorExpired:
            self._skip_pruned(those)
            return cursor, []
        followed = [(trigger, expand(trigger.on["types"])) for trigger in those]
        for event in page.events:
            if event.project == project:
                followed = [one for one in followed if self._passes(event, *one)]
                if self._time_is_up():
                    self._note_looked(followed, event.position)
                    return event.position, []
        self._note_looked(followed, page.cursor)
        return page.cursor, [] if page.done else [trigger for trigger, _ in followed]

    def _note_looked(self, followed: Iterable[tuple[Trigger, frozenset[str]]], cursor: int) -> None:
        for trigger, _types in followed:
            self._looked[trigger.id] = cursor

    def _passes(self, event: LoggedEvent, trigger: Trigger, types: frozenset[str]) -> bool:
        """Fire for the event if it is to. False when the trigger has to wait before it."""
        if event.type not in types:
            return True
        if not matches(trigger.on["filter"], json.loads(event.data)):
            return True
        return self._fire_for(trigger, event)

    def _fire_for(self, trigger: Trigger, event: LoggedEvent) -> bool:
        """False: it is held back, and comes to this event again."""
        cause = Cause(event=event)
        with self._services.store.read() as tx:
            chain = firing.origin(tx, event)
        if trigger.id in chain:
            return True
        if len(chain) >= DEEPEST:
            deep = f"Did not fire for {event.type}: {DEEPEST} triggers in a row led to it."
            self._note(trigger, deep)
            return True

        def prepare(tx: WriteTx, now: Waiting) -> bool:
            if now.cursor >= event.position:
                return False
            triggers.note(tx, trigger.id, cursor=event.position)
            return True

        return self._fire(trigger, cause, chain, prepare)

    def _skip_pruned(self, those: Sequence[Trigger]) -> None:
        with self._services.store.write(SYSTEM) as tx:
            floor = log.state(tx.conn).floor
            for trigger in those:
                missed = "Events left the log before it had looked at them."
                triggers.note(tx, trigger.id, cursor=floor, last_error=missed)

    # the clock

    def _fire_by_clock(self, trigger: Trigger, due: str) -> None:
        def prepare(tx: WriteTx, now: Waiting) -> bool:
            if now.trigger.next_at != due:
                return False
            later = triggers.next_time(now.trigger.on, tx.now, due)
            triggers.note(tx, trigger.id, next_at=later)
            return True

        if not self._fire(trigger, Cause(due=due), [], prepare):
            with self._services.store.write(SYSTEM) as tx:  # it may fire again at its next time
                if (now := triggers.waiting_one(tx, trigger.id)) is not None:
                    prepare(tx, now)

    # both

    def _fire(
        self, trigger: Trigger, cause: Cause, chain: list[str],
        prepare: Callable[[WriteTx, Waiting], bool],
    ) -> bool:  # fmt: skip
        """Fire in one transaction with what notes that it has. False when it is held back."""
        with self._services.store.read() as tx:
            held = firing.held_back(tx, trigger)
        if held is not None:
            self._note(trigger, held)
            return False
        try:
            with self._services.store.write(firing.actor_of(trigger)) as tx:
                now = triggers.waiting_one(tx, trigger.id)
                if now is not None and prepare(tx, now):
                    firing.fire(tx, now.trigger, cause, chain)
            return True
        except (StorageFull, Unavailable):
            raise  # nothing was stored: it comes again
        except CortexError as refused:
            error = refused
        except Exception:
            _log.exception("trigger_failed", trigger=trigger.id)
            error = CortexError("It failed by a fault of the server; its log has more.")
        with self._services.store.write(firing.actor_of(trigger)) as tx:
            now = triggers.waiting_one(tx, trigger.id)
            if now is None or not prepare(tx, now):
                return True
            if error.code == "nothing_to_do":
                triggers.note(tx, trigger.id, last_error=error.detail[:500])
            else:
                firing.failed(tx, now.trigger, cause, chain, error.detail)
        return True

    def _note(self, trigger: Trigger, error: str) -> None:
        """Say why it does not do what it is for; each reason once."""
        with self._services.store.read() as tx:
            now = triggers.waiting_one(tx, trigger.id)
        if now is not None and now.trigger.last_error != error:
            self._write(lambda tx: triggers.note(tx, trigger.id, last_error=error))

    def _store(self, found: Sequence[Waiting]) -> None:
        """Store how far they have looked, now and then: some events may be looked at twice."""
        now_s = self._services.clock.monotonic()
        if now_s - self._stored_at < STORE_S:
            return
        self._stored_at = now_s
        moved = {
            one.trigger.id: self._looked[one.trigger.id]
            for one in found
            if self._looked[one.trigger.id] > one.cursor
        }
        if not moved:
            return
        with self._services.store.write(SYSTEM) as tx:
            for trigger, cursor in moved.items():
                now = triggers.waiting_one(tx, trigger)
                if now is not None and now.cursor < cursor:
                    triggers.note(tx, trigger, cursor=cursor)

    # calls

    def _try(self, call: str, trigger: str) -> None:
        try:
            with self._services.store.write(SYSTEM) as tx:
                sending = trigger_calls.begin(tx, call)
            if sending is not None:
                self._answered(sending, self._post(sending))
        except Exception:
            _log.exception("trigger_call_failed", call=call)
        finally:
            self._sending[trigger] -= 1
            self._sending += Counter()  # forgets those without any

    def _post(self, sending: Sending) -> Answered:
        return outgoing.post(sending.url, sending.body, sending.headers, self._private)

    def _answered(self, sending: Sending, answered: Answered) -> None:
        said = answered.text if answered.status is None else f"{answered.status} {answered.text}"
        with self._services.store.write(SYSTEM) as tx:
            trigger_calls.answered(
                tx, sending.call, accepted=answered.accepted, gone=answered.status == GONE,
                answer=said.strip(), random=random.random,
            )  # fmt: skip

    def _write(self, change: Callable[[WriteTx], Any]) -> None:
        with self._services.store.write(SYSTEM) as tx:
            change(tx)
