"""The event catalogue and the objects that events carry."""

from cortex_server.events.catalogue import EVENTS, Audience, EventType, validate

__all__ = ["EVENTS", "Audience", "EventType", "validate"]
