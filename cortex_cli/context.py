"""What a command line is about: the server, the project and the ticket.

The project is, in this order: `--project`; CORTEX_PROJECT; the project of the ticket in
CORTEX_TICKET; the one whose `repo_path` holds the current directory, the longest first; the
only one there is. Otherwise the command fails and names the choices.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from cortex_cli import remembered, sdk
from cortex_cli.failures import Missing
from cortex_cli.output import say

_TICKET_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,31})-([1-9][0-9]*)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class App:
    """One invocation of `cortex`: its options, its environment and its client."""

    def __init__(
        self,
        url: str | None = None,
        project: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.project_option = project
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self._client: sdk.CortexClient | None = None

    def refuse_colour(self, ctx: click.Context) -> None:
        """Print without colours from now on, here and in what this process starts."""
        ctx.color = False
        os.environ["NO_COLOR"] = "1"  # the board and rich read it

    def endpoint(self, quiet: bool = False) -> sdk.Endpoint:
        """Return where the server is and with which token to go there; warn unless `quiet`."""
        try:
            found = sdk.discover(self.server_environ())
        except sdk.NoToken:
            self._require_a_server()
            raise
        for warning in () if quiet else found.warnings:
            say(warning)
        return found

    def _require_a_server(self) -> None:
        """Without a server, that is the news, not the missing token."""
        sdk.CortexClient(
            self.server_url(), "none", timeout=3, ca_file=self.ca_file(), retries=1
        ).get("/readyz")

    def server_url(self) -> str:
        """Return where the server is, whether or not there is a token for it."""
        return (self.url or sdk.server_url(self.environ)).rstrip("/")

    def ca_file(self) -> str | None:
        """Return the file of authorities to trust there, where one is named."""
        return sdk.ca_file(self.environ)

    def server_environ(self) -> dict[str, str]:
        """Return the environment with `--url` applied."""
        return {**self.environ, "CORTEX_URL": self.url} if self.url else dict(self.environ)

    def connect(self, quiet: bool = False) -> sdk.CortexClient:
        """Return a new client; the caller closes it. Prints nothing when `quiet`."""
        where = self.endpoint(quiet)
        return sdk.CortexClient(where.url, where.token, ca_file=where.ca_file)

    @property
    def client(self) -> sdk.CortexClient:
        """The client of this command, made when first asked for."""
        if self._client is None:
            self._client = self.connect()
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def named_project(self) -> str | None:
        """Return the project that the options or the environment name, if they do."""
        named = self.project_option or self.environ.get("CORTEX_PROJECT")
        if named:
            return named
        return ticket_project(self.environ.get("CORTEX_TICKET", ""))

    def project(self) -> str:
        """Return the key of the project that this command is about.

        Raises UsageError (exit 2), which names the choices, and Missing when there is none.
        """
        named = self.named_project()
        if named:
            return named
        projects = self.projects()
        here = self.project_here(projects)
        if here is not None:
            return here
        if len(projects) == 1:
            return str(projects[0]["key"])
        raise _no_choice(projects)

    def project_here(self, projects: Iterable[dict[str, Any]]) -> str | None:
        """Return the key of the project that holds the current directory; None without one."""
        found = holding(projects, Path.cwd())
        if found is None:
            return None
        root = Path(found["repo_path"]).resolve()
        remembered.note(self.server_url(), root, str(found["key"]), self.environ)
        return str(found["key"])

    def projects(self) -> list[dict[str, Any]]:
        """Return every project that the token may read."""
        return list(self.client.paginate("/api/projects"))

    def ticket(self, given: str | None) -> str:
        """Return the ticket that is meant: a key, an id, a number in the project, or the default.

        Raises UsageError when none is given and CORTEX_TICKET is not set.
        """
        wanted = given or self.environ.get("CORTEX_TICKET")
        if not wanted:
            raise click.UsageError("Name a ticket, such as CTX-12, or set CORTEX_TICKET.")
        return f"{self.project()}-{wanted}" if wanted.isdecimal() else wanted

    @property
    def ticket_is_set(self) -> bool:
        """Whether the environment names a ticket, as an agent's does."""
        return bool(self.environ.get("CORTEX_TICKET"))


def holding(projects: Iterable[dict[str, Any]], directory: Path) -> dict[str, Any] | None:
    """Return the project whose `repo_path` holds `directory`, the innermost first."""
    here = directory.resolve()
    found: tuple[int, dict[str, Any]] | None = None
    for project in projects:
        if not project.get("repo_path"):
            continue
        root = Path(project["repo_path"]).resolve()
        depth = len(root.parts)
        if here.is_relative_to(root) and (found is None or depth > found[0]):
            found = (depth, project)
    return found[1] if found else None


def api(*segments: str) -> str:
    """Return a path below /api, each segment quoted.

    Raises UsageError for what can be no name, such as "" and "..".
    """
    try:
        return sdk.url_path("api", *segments)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def ticket_project(key: str) -> str | None:
    """Return the project part of a ticket's key; None when it is no key (an id, say)."""
    found = None if _UUID.fullmatch(key) else _TICKET_KEY.fullmatch(key)
    return found[1] if found else None


def _no_choice(projects: list[dict[str, Any]]) -> click.ClickException:
    if not projects:
        return Missing("There is no project yet. Make one: `cortex project create KEY`.")
    keys = ", ".join(sorted(str(project["key"]) for project in projects))
    return click.UsageError(
        f"Which project? There are {keys}. Name one with --project or CORTEX_PROJECT."
    )
