"""One effect for a repeated request: the first answer is stored with the mutation and given again.

The scope of a key is the token. A refused request stores nothing, so it may be corrected and sent
again under its key. An answer that holds a secret is stored sealed with the caller's own secret,
which the database does not have: the repeated answer is the same, and nobody else can read it.
"""

import base64
import hashlib
import os
import re
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from cortex_server.clock import later
from cortex_server.db.schema import idempotency
from cortex_server.db.statements import Statement, insertion
from cortex_server.errors import Invalid, Malformed
from cortex_server.store import WriteTx

KEPT_S = 86_400
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SALT_BYTES = 32
_SAME = (idempotency.c.token_id == bindparam("by")) & (idempotency.c.key == bindparam("named"))
_STORED = Statement(select(idempotency).where(_SAME))
_FORGET = Statement(delete(idempotency).where(_SAME))


@dataclass(frozen=True)
class Answer:
    """What goes back to the client. headers: those that belong to the answer itself."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Claim:
    """A request that carries a key. secret: of the caller, when the answer is to be sealed."""

    token_id: str
    key: str
    fingerprint: str
    secret: str | None


def claim(token_id: str, key: str, request: tuple[str, str, bytes], secret: str | None) -> Claim:
    """The claim of a request: its method, address and body.

    Raises Malformed for a key that is not 1 to 255 visible ASCII characters.
    """
    if not _KEY.fullmatch(key):
        raise Malformed("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    method, address, body = request
    digest = hashlib.sha256(f"{method} {address}\n".encode() + body).hexdigest()
    return Claim(token_id, key, digest, secret)


def find(tx: WriteTx, claimed: Claim) -> Answer | None:
    """The stored answer of the same request. One still in flight holds the writer's lock, so wait.

    Raises Invalid (idempotency_mismatch) when the key was used for another request.
    """
    same = {"by": claimed.token_id, "named": claimed.key}
    row = _STORED.one_or_none(tx.conn, **same)
    if row is None:
        return None
    if row.at <= later(tx.now, -KEPT_S):
        _FORGET.run(tx.conn, **same)
        return None
    if row.fingerprint != claimed.fingerprint:
        raise Invalid(
            "This Idempotency-Key was used for another request; use a new one.",
            code="idempotency_mismatch",
        )
    body = row.body.encode()
    return Answer(
        row.status, row.headers, _unseal(body, claimed.secret) if claimed.secret else body
    )


def keep(tx: WriteTx, claimed: Claim, answer: Answer) -> None:
    """Store the answer in the transaction that it answers for."""
    body = _seal(answer.body, claimed.secret) if claimed.secret else answer.body
    insertion(idempotency).run(
        tx.conn,
        token_id=claimed.token_id,
        key=claimed.key,
        fingerprint=claimed.fingerprint,
        status=answer.status,
        headers=answer.headers,
        body=body.decode(),
        at=tx.now,
    )


def expire(tx: WriteTx) -> int:
    """Drop answers older than a day. Returns how many."""
    where = idempotency.c.at <= later(tx.now, -KEPT_S)
    return tx.conn.execute(delete(idempotency).where(where)).rowcount


def _seal(body: bytes, secret: str) -> bytes:
    salt = os.urandom(_SALT_BYTES)
    return base64.b64encode(salt + _masked(body, secret, salt))


def _unseal(sealed: bytes, secret: str) -> bytes:
    both = base64.b64decode(sealed)
    return _masked(both[_SALT_BYTES:], secret, both[:_SALT_BYTES])


def _masked(text: bytes, secret: str, salt: bytes) -> bytes:
    """XOR with a key stream that only the 256 random bits of the secret make; its own inverse."""
    stream = hashlib.shake_256(b"cortex answer\n" + secret.encode() + salt).digest(len(text))
    return bytes(a ^ b for a, b in zip(text, stream, strict=True))
