"""The REST API: JSON and rights at the edge, one file for each noun, no rules of the domain."""

from cortex_server.api import (
    comments,
    dashboard,
    documents,
    labels,
    logins,
    messages,
    projects,
    reviews,
    sessions,
    settings,
    teams,
    tickets,
    tokens,
)

ALL = (
    teams.routes,
    projects.routes,
    labels.routes,
    tickets.routes,
    comments.routes,
    reviews.routes,
    sessions.routes,
    messages.routes,
    settings.routes,
    tokens.routes,
    logins.routes,
    dashboard.routes,
    documents.routes,
)
