"""Tokens, the token file, and when a token was last used."""

import os
import stat

import pytest
from sqlalchemy import select

from cortex_server import auth, signals
from cortex_server.db.files import StartRefused
from cortex_server.db.schema import tokens as table
from cortex_server.domains import logins, projects, tokens
from cortex_server.domains.last_used import LastUsed
from cortex_server.errors import Conflict, Invalid, NotFound, Unauthenticated
from cortex_server.events.objects import Actor


@pytest.fixture
def create(do):
    return lambda role="write", name="laptop", **fields: do(
        tokens.create, {"name": name, "role": role, **fields}
    )


@pytest.fixture
def revoked(store):
    """The ids of the tokens whose revocation was announced."""
    seen = []

    def note(_store, token_id):
        seen.append(token_id)

    signal = signals.internal(signals.TOKEN_REVOKED)
    with signal.connected_to(note, store):
        yield seen


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_secret_is_shown_once_and_only_its_hash_is_stored(store, create, see):
    made = create()
    assert made.secret.startswith("ctx_")
    assert see(tokens.get, made.id).json_dict() == {
        name: value for name, value in made.json_dict().items() if name != "secret"
    }
    assert see(auth.grant_for, made.secret).token_id == made.id
    with store.read() as tx:
        row = tx.conn.execute(select(table)).one()
    assert made.secret not in str(row)
    assert len(row.hash) == 64


def test_tokens_are_in_no_event(create, do, happened):
    do(tokens.revoke, create())
    assert happened() == []


@pytest.mark.parametrize(
    ("role", "kind"),
    [("read", "user"), ("write", "user"), ("runner", "runner"), ("admin", "user")],
)
def test_by_default_a_token_acts_under_its_name(create, role, kind):
    made = create(role, "ci")
    assert (made.actor, made.projects, made.ticket) == (Actor(kind=kind, name="ci"), None, None)
    assert (made.expires_at, made.revoked_at, made.last_used_at) == (None, None, None)


def test_a_token_can_act_for_somebody_else_but_not_as_the_system(create):
    assert create(actor={"kind": "agent", "name": "bot"}).actor.kind == "agent"
    with pytest.raises(Invalid):
        create(actor={"kind": "system", "name": "cortex"})


def test_an_agents_token_is_for_its_ticket(create, ticket, see):
    made = create("agent", "opencode", ticket="ctx-1")
    assert (made.ticket, made.projects, made.actor.kind) == ("CTX-1", None, "agent")
    assert see(auth.grant_for, made.secret).projects == {"CTX"}


def test_projects_are_kept_by_their_keys_as_written(create, do, project):
    do(projects.create, {"key": "Another", "name": "x"})
    assert create(projects=["ctx", "ANOTHER", "Ctx"]).projects == ["Another", "CTX"]


@pytest.mark.parametrize(
    ("role", "fields", "field"),
    [
        ("agent", {}, "ticket"),
        ("agent", {"ticket": "CTX-99"}, "ticket"),
        ("agent", {"ticket": "CTX-1", "projects": ["CTX"]}, "projects"),
        ("write", {"ticket": "CTX-1"}, "ticket"),
        ("write", {"projects": []}, "projects"),
        ("write", {"projects": ["CTX", "NOPE"]}, "projects"),
        ("admin", {"projects": ["CTX"]}, "projects"),
        ("write", {"expires_in_s": 0}, "expires_in_s"),
        ("write", {"expires_in_s": 10**12}, "expires_in_s"),
    ],
)
def test_what_does_not_go_together_is_refused(create, ticket, role, fields, field):
    with pytest.raises(Invalid) as refused:
        create(role, **fields)
    assert refused.value.extra["errors"][0]["field"] == field


def test_an_expired_token_is_not_good(create, see, clock):
    made = create(expires_in_s=60)
    assert made.expires_at == "2026-01-26T15:54:01.717454Z"
    clock.advance(60)
    with pytest.raises(Unauthenticated):
        see(auth.grant_for, made.secret)


def test_revoking_ends_a_token_and_its_cookies(create, do, see, revoked):
    made, other = create(), create(name="other")
    cookie, _ = do(logins.redeem, do(logins.make, made.id))
    cookie_id = see(auth.grant_for, cookie).token_id
    gone = do(tokens.revoke, see(tokens.get, made.id))
    assert gone.revoked_at == "2026-01-26T15:53:01.717454Z"
    assert sorted(revoked) == sorted([made.id, cookie_id])
    for secret in (made.secret, cookie):
        with pytest.raises(Unauthenticated):
            see(auth.grant_for, secret)
    assert see(auth.grant_for, other.secret).token_id == other.id
    assert do(tokens.revoke, gone) == gone
    assert len(revoked) == 2


def test_logging_out_ends_only_the_cookie(create, do, see, revoked):
    made = create("admin")
    cookie, _ = do(logins.redeem, do(logins.make, made.id))
    cookie_id = see(auth.grant_for, cookie).token_id
    do(tokens.revoke, see(tokens.get, cookie_id))
    assert revoked == [cookie_id]
    assert see(auth.grant_for, made.secret).token_id == made.id


def test_a_revocation_that_is_not_committed_is_not_announced(store, create, revoked):
    def revoke_and_fail(tx):
        tokens.revoke(tx, made)
        raise RuntimeError("no commit")

    made = create()
    with pytest.raises(RuntimeError), store.write(made.actor) as tx:
        revoke_and_fail(tx)
    assert revoked == []


def test_the_last_living_administrator_stays(create, do, see, clock):
    first, expiring = create("admin"), create("admin", expires_in_s=60)
    create("write")
    do(logins.redeem, do(logins.make, first.id))
    do(tokens.revoke, do(tokens.create, {"name": "third", "role": "admin"}))
    clock.advance(61)
    with pytest.raises(Conflict) as refused:
        do(tokens.revoke, see(tokens.get, first.id))
    assert refused.value.code == "last_admin"
    do(tokens.revoke, see(tokens.get, expiring.id))
    create("admin", "second")
    assert do(tokens.revoke, see(tokens.get, first.id)).revoked_at


def test_the_list_has_no_cookies_and_no_secrets(create, do, see):
    made = [create(name=str(n)) for n in range(3)]
    do(logins.redeem, do(logins.make, made[0].id))
    first = see(tokens.listing, 2, None)
    rest = see(tokens.listing, 2, first.next_cursor)
    listed = [*first.items, *rest.items]
    assert {token.id for token in listed} == {token.id for token in made}
    assert not any("secret" in token.json_dict() for token in listed)
    with pytest.raises(NotFound):
        see(tokens.get, "nothing")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "cortex" / "token"


def test_the_token_file_is_made_for_the_owner_only(do, see, path):
    do(tokens.ensure_local, path)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    secret = path.read_text().removesuffix("\n")
    grant = see(auth.grant_for, secret)
    assert (grant.role, grant.actor.kind) == ("admin", "user")
    assert see(tokens.get, grant.token_id).name == "local"
    assert os.listdir(path.parent) == ["token"]


def test_a_good_token_file_is_left_alone_but_for_its_permissions(do, see, path):
    do(tokens.ensure_local, path)
    before = path.read_text()
    path.chmod(0o644)
    path.parent.chmod(0o755)
    do(tokens.ensure_local, path)
    assert path.read_text() == before
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert len(see(tokens.listing, 10, None).items) == 1


@pytest.mark.parametrize("content", ["", "ctx_unknown\n", "\xff\x00"])
def test_a_token_file_of_no_use_gets_a_new_token(do, see, path, content):
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="latin-1")
    do(tokens.ensure_local, path)
    assert see(auth.grant_for, path.read_text().strip()).is_admin


def test_a_token_file_without_an_administrators_token_gets_one(do, see, create, path):
    create("admin")
    do(tokens.ensure_local, path)
    first = see(auth.grant_for, path.read_text().strip())
    do(tokens.revoke, see(tokens.get, first.token_id))
    do(tokens.ensure_local, path)
    second = see(auth.grant_for, path.read_text().strip())
    assert second.token_id != first.token_id
    path.write_text(create("write").secret)
    do(tokens.ensure_local, path)
    assert see(auth.grant_for, path.read_text().strip()).is_admin


def test_a_token_file_is_never_followed_elsewhere(do, see, path):
    path.parent.mkdir(parents=True)
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text("mine")
    path.symlink_to(elsewhere)
    with pytest.raises(StartRefused, match="symbolic link"):
        do(tokens.ensure_local, path)
    assert elsewhere.read_text() == "mine"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StartRefused, match="plain file"):
        do(tokens.ensure_local, path)
    assert see(tokens.listing, 10, None).items == []


def test_a_token_that_could_not_be_written_down_does_not_exist(do, see, path):
    path.mkdir(parents=True)
    with pytest.raises(StartRefused):
        do(tokens.ensure_local, path)
    assert see(tokens.listing, 10, None).items == []


def test_the_last_use_is_stored_at_most_once_a_minute(do, see, create, store, clock):
    made, used = create(), LastUsed()

    def use():
        with store.read() as tx:
            used.note(made.id, tx.now)

    def stored():
        return see(tokens.get, made.id).last_used_at

    assert not used.dirty()
    use()
    assert used.dirty()
    do(used.flush)
    first = stored()
    assert first == "2026-01-26T15:53:01.717454Z"
    clock.advance(59)
    use()
    assert not used.dirty()
    clock.advance(1)
    use()
    do(used.flush)
    assert stored() > first
