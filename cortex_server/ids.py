"""Identifiers and secrets."""

import hashlib
import secrets
import time

_last_stamp = 0  # of the newest id: milliseconds, then a counter of 12 bits


def new_id() -> str:
    """A UUIDv7 (RFC 9562): 48 bits of milliseconds, a counter of 12 bits, 62 random bits.

    Each sorts after the one before it in this process, also within a millisecond and after the
    clock was put back: lists go by id where they mean the order of creation.
    """
    global _last_stamp
    milliseconds = time.time_ns() // 1_000_000
    _last_stamp = max((milliseconds & (1 << 48) - 1) << 12, _last_stamp + 1)
    head = _last_stamp >> 12 << 16 | 0x7 << 12 | _last_stamp & 0xFFF
    digits = f"{head << 64 | 0x2 << 62 | secrets.randbits(62):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_secret() -> str:
    """256 random bits, safe in a header, a cookie and a file."""
    return "ctx_" + secrets.token_urlsafe(32)


def secret_hash(secret: str) -> str:
    """What is stored of a secret. 256 random bits need no salt and no stretching."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_epoch() -> str:
    return secrets.token_hex(4)
