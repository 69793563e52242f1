"""The event streams: what goes over `GET /events` and when."""
