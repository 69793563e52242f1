"""The registry: how many streams, and which of them end when."""

import gc
from pathlib import Path

import pytest

from cortex_server import app, signals
from cortex_server.bus import Bus
from cortex_server.channels import Channel
from cortex_server.config import Config
from cortex_server.domains import projects, tokens
from cortex_server.metrics import Metrics
from cortex_server.registry import Slot, StreamRegistry
from tests.support.stores import ALICE


@pytest.fixture
def registry(store):
    return StreamRegistry(store, max_streams=3)


def slot(registry, token="t", project=None):
    subscriber = Bus(0, 1, 1, Metrics()).subscribe(Channel(project=project))
    made = Slot(token, subscriber)
    registry.open(made)
    return made


def test_it_counts_and_is_full_at_the_cap(registry):
    slots = [slot(registry) for _ in range(3)]
    assert (len(registry), registry.full) == (3, True)
    registry.close(slots[0])
    registry.close(slots[0])
    assert (len(registry), registry.full) == (2, False)


def test_a_drain_ends_all_and_stays(registry):
    slots = [slot(registry, project=key) for key in (None, "CTX")]
    assert not registry.draining
    registry.drain()
    assert registry.draining
    assert [s.subscriber.ending for s in slots] == ["drain", "drain"]


def test_a_revoked_token_ends_its_streams_and_those_of_its_cookies(store, do, registry):
    first = do(tokens.create, {"name": "a", "role": "admin"})
    do(tokens.create, {"name": "b", "role": "admin"})
    with store.write(ALICE) as tx:
        cookie = tokens.insert_token(
            tx, name="c", role="admin", actor=ALICE, parent_id=first.id, expires_at=None
        )
    slots = [slot(registry, token) for token in (first.id, cookie.id, "other")]
    with store.write(ALICE) as tx:
        tokens.revoke(tx, tokens.get(tx, first.id))
        assert [s.subscriber.ending for s in slots] == [None] * 3
    assert [s.subscriber.ending for s in slots] == ["revoked", "revoked", None]


def test_a_deleted_project_ends_its_boards_only(store, do, project, registry):
    slots = [slot(registry, project=key) for key in ("CTX", "OTHER", None)]
    do(projects.delete, project, None)
    assert [s.subscriber.ending for s in slots] == ["project_deleted", None, None]


def test_another_stores_signals_are_not_ours(store, registry):
    mine = slot(registry, "t")
    signals.send(signals.internal(signals.TOKEN_REVOKED), object(), token_id="t")
    assert mine.subscriber.ending is None


def test_a_registry_that_is_gone_hears_nothing(store):
    def receivers():
        return list(signals.internal(signals.TOKEN_REVOKED).receivers_for(store))

    registry = StreamRegistry(store, 1)
    assert len(receivers()) == 1
    del registry
    gc.collect()
    assert receivers() == []


@pytest.mark.parametrize(
    ("limit", "allowed"), [(10**6, 500), (1000 + 256 + 500, 500), (1000 + 256 + 20, 20), (64, 1)]
)
def test_there_are_no_more_places_than_open_files_allow(monkeypatch, limit, allowed):
    monkeypatch.setattr(app.resource, "getrlimit", lambda _kind: (limit, limit))
    config = Config(data_dir=Path("/nonexistent"), max_streams=500, worker_connections=1000)
    assert app._streams_max(config) == allowed
