"""One blinker signal for each event type, and a guarded way to send them.

The sender is the store that committed; receivers of an event's signal get the keyword `event`.
Receivers connect for one sender, so that several applications in a process do not mix.
"""

from collections.abc import Iterable
from typing import Any

import structlog
from blinker import Namespace, Signal

_events = Namespace()
_internal = Namespace()
_log = structlog.get_logger(__name__)

PUBLISHED = "published"  # all that was committed together has been told; no keywords
TOKEN_REVOKED = "token-revoked"  # noqa: S105 - a name; keyword: token_id


def event(name: str) -> Signal:
    """The signal of one event type, the same object on every call."""
    return _events.signal(name)


def internal(name: str) -> Signal:
    """A signal that is no event of the catalogue: it stays inside the process."""
    return _internal.signal(name)


def send(signal: Signal, sender: Any, **values: Any) -> None:
    """Call every receiver, also after one has raised: blinker's own send would skip the rest."""
    send_each(signal, sender, (values,))


def send_each(signal: Signal, sender: Any, all_values: Iterable[dict[str, Any]]) -> None:
    """The same several times in a row; the receivers are looked up once. Takes all values."""
    receivers = list(signal.receivers_for(sender)) if signal.receivers else []
    for values in all_values:
        for receiver in receivers:
            try:
                receiver(sender, **values)
            except Exception:
                # The change is committed: a receiver's fault must not look like a failed change.
                _log.exception("signal_receiver_failed", signal=getattr(signal, "name", ""))
