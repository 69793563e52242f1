"""Every way in which Cortex refuses or fails, and the HTTP status of each.

    CortexError
    ├── Malformed            400  cannot be read: bad JSON, bad UTF-8, a malformed parameter
    │   └── HostRefused      400  a Host header that is not on the allow-list
    ├── Unauthenticated      401  no token, or one that is unknown, expired or revoked
    ├── Forbidden            403  a token that may not do this
    ├── NotFound             404
    ├── Conflict             409  the state of the thing does not allow it
    │   └── OutdatedRevision 409  the change was made against an older revision
    ├── CursorExpired        410  events after the cursor were pruned
    ├── TooLarge             413
    ├── UnsupportedMedia     415
    ├── Invalid              422  well-formed, but a field's value is refused
    ├── Unavailable          503  the storage cannot take it now; try again
    └── StorageFull          507  the disk is full; reads go on

A problem document (RFC 9457) is made of `status`, `code`, `title`, `detail` and `extra`.
"""

from typing import Any, ClassVar


class CortexError(Exception):
    """The root: `detail` names the thing, its state, and what to do."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, code: str | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.extra = extra


class Malformed(CortexError):
    status, default_code, title = 400, "malformed", "Malformed request"


class HostRefused(Malformed):
    default_code, title = "host_refused", "Host not allowed"


class Unauthenticated(CortexError):
    status, default_code, title = 401, "unauthenticated", "Not authenticated"


class Forbidden(CortexError):
    status, default_code, title = 403, "forbidden", "Not allowed"


class NotFound(CortexError):
    status, default_code, title = 404, "not_found", "Not found"


class Conflict(CortexError):
    status, default_code, title = 409, "conflict", "Conflict"


class OutdatedRevision(Conflict):
    """`current` (JSON) is the object as it is now, so that the caller can merge."""

    default_code, title = "outdated_revision", "Outdated revision"

    def __init__(self, what: str, named: int, current: dict[str, Any]) -> None:
        super().__init__(
            f"{what} is at revision {current['revision']}, the change names revision {named}; "
            "look at `current` and repeat the change against it.",
            current=current,
        )


class CursorExpired(CortexError):
    status, default_code, title = 410, "cursor_expired", "Cursor expired"


class TooLarge(CortexError):
    status, default_code, title = 413, "too_large", "Too large"


class UnsupportedMedia(CortexError):
    status, default_code, title = 415, "unsupported_media_type", "Unsupported media type"


class Invalid(CortexError):
    """`errors` is a list of {"field", "message"}, one for each refused field."""

    status, default_code, title = 422, "invalid", "Invalid value"

    @classmethod
    def field(cls, name: str, message: str) -> "Invalid":
        """One refused field, in the shape that the body models also use."""
        return cls(f"{name}: {message}", errors=[{"field": name, "message": message}])


class Unavailable(CortexError):
    status, default_code, title = 503, "unavailable", "Unavailable"


class StorageFull(CortexError):
    status, default_code, title = 507, "storage_full", "Storage full"
