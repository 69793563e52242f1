"""Changes and fetches, made through the SDK: an effect in, the message that answers it out."""

from typing import Any, get_args

from cortex_cli.board import asks as a
from cortex_cli.board import messages as m
from cortex_cli.board.model import DIFF, LOG
from cortex_cli.board.wire import Comment, Message, Review, Session, Ticket
from cortex_cli.board.work import Attempt, Instance, LogEntry, Permission
from cortex_cli.sdk import Conflict, CortexClient, NotAllowed, NotFound, url_path

LOG_PAGE = 500
Change = m.Move | m.Create | m.AddComment | a.Ask
CHANGES = (m.Move, m.Create, m.AddComment, *get_args(a.Ask))


def changed(client: CortexClient, effect: Change) -> m.Incoming:
    """Make a change. Raises CortexError."""
    match effect:
        case m.Move():
            body: dict[str, Any] = {"status": effect.status, "revision": effect.revision}
            if effect.position is not None:
                body["position"] = effect.position
            return m.Moved(
                Ticket.read(
                    client.post(url_path("api", "tickets", effect.ticket_id, "move"), json=body)
                )
            )
        case m.Create():
            body = {"title": effect.title, "status": effect.status}
            return m.Created(
                Ticket.read(
                    client.post(url_path("api", "projects", effect.project, "tickets"), json=body)
                )
            )
        case m.AddComment():
            path = url_path("api", "tickets", effect.ticket, "comments")
            return m.Commented(Comment.read(client.post(path, json={"body": effect.body})))
        case _:
            return _asked(client, effect)


def _asked(client: CortexClient, ask: a.Ask) -> a.Asked:
    """Ask something of an agent, or answer one. Raises CortexError."""
    match ask:
        case a.StartAttempt():
            body: dict[str, Any] = {"agent": ask.agent} | (
                {"profile": ask.profile} if ask.profile else {}
            )
            path = url_path("api", "tickets", ask.ticket, "attempts")
            return a.Asked(ask.ticket, Attempt.read(client.post(path, json=body)), "")
        case a.StopAttempt():
            path = url_path("api", "attempts", ask.attempt, "stop")
            attempt = Attempt.read(client.post(path))
            return a.Asked(ask.attempt, attempt, f"{attempt.name} is {attempt.status}")
        case a.RetryAttempt():
            path = url_path("api", "attempts", ask.attempt, "retry")
            return a.Asked(ask.ticket, Attempt.read(client.post(path)), "")
        case a.Answer():
            path = url_path("api", "permissions", ask.permission, "reply")
            body = {"choices": list(ask.choices)} | ({"text": ask.text} if ask.text else {})
            return a.Asked(ask.permission, Permission.read(client.post(path, json=body)), "")
        case a.ResolveReview():
            path = url_path("api", "reviews", ask.review)
            body = {"state": ask.state} | ({"note": ask.note} if ask.note else {})
            return a.Asked(ask.review, Review.read(client.patch(path, json=body)), "")
        case a.Say():
            client.post(url_path("api", "sessions", ask.session, "prompt"), json={"text": ask.text})
            return a.Asked("", None, "Said to the agent")
        case a.Abort():
            client.post(url_path("api", "sessions", ask.session, "abort"))
            return a.Asked("", None, "The agent was asked to end its turn")


def refusal(effect: Change, error: Exception) -> m.Incoming:
    why = str(error) or type(error).__name__
    match effect:
        case m.Move():
            current = None
            if isinstance(error, Conflict) and error.current and "id" in error.current:
                current = Ticket.read(error.current)
                why = f"somebody changed it meanwhile, it is in {current.status}."
            elif isinstance(error, NotFound):
                why = "it is gone."
            return m.MoveRefused(effect.ticket_id, why, current)
        case m.Create():
            return m.Refused("title", effect.title, why)
        case m.AddComment():
            return m.Refused("comment", effect.body, why)
        case _:
            return _not_asked(effect, why)


def _not_asked(ask: a.Ask, why: str) -> a.AskRefused:
    match ask:
        case a.StartAttempt():
            return a.AskRefused(ask.ticket, f"Nothing was started: {why}")
        case a.StopAttempt():
            return a.AskRefused(ask.attempt, f"Not stopped: {why}")
        case a.RetryAttempt():
            return a.AskRefused(ask.ticket, f"Not tried again: {why}")
        case a.Answer():
            draft = (f"answer {ask.permission}", ask.text) if ask.text else None
            return a.AskRefused(ask.permission, f"Not answered: {why}", draft)
        case a.ResolveReview():
            draft = (f"note {ask.review}", ask.note) if ask.note else None
            return a.AskRefused(ask.review, f"Not answered: {why}", draft)
        case a.Say():
            return a.AskRefused("", f"Not said: {why}", (f"say {ask.session}", ask.text))
        case a.Abort():
            return a.AskRefused("", f"Its turn goes on: {why}")


def fetched(client: CortexClient, effect: m.NetworkEffect) -> m.Incoming:
    """Fetch something. Raises CortexError, and BadObject for an answer that cannot be read."""
    match effect:
        case m.LoadBoard():
            return m.Snapshot(
                effect.stream,
                client.get(url_path("api", "projects", effect.project, "board")),
                True,
            )
        case m.LoadProjects():
            found = client.paginate("/api/projects")
            return m.ProjectsLoaded(tuple((str(item["key"]), str(item["name"])) for item in found))
        case m.LoadDetail():
            ticket = url_path("api", "tickets", effect.ticket)
            return m.DetailLoaded(
                Ticket.read(client.get(ticket)),
                tuple(Comment.read(item) for item in client.paginate(f"{ticket}/comments")),
                tuple(Review.read(item) for item in client.paginate(f"{ticket}/reviews")),
                tuple(Session.read(item) for item in client.paginate(f"{ticket}/sessions")),
                tuple(Attempt.read(item) for item in client.paginate(f"{ticket}/attempts")),
                _instances(client, effect.ticket),
            )
        case m.LoadThread():
            found = client.paginate(url_path("api", "sessions", effect.session, "messages"))
            return m.ThreadLoaded(effect.session, tuple(Message.read(item) for item in found))
        case m.LoadMessage():
            path = url_path("api", "sessions", effect.session, "messages", effect.message)
            return m.MessageLoaded(Message.read(client.get(path)))
        case a.LoadAgents():
            return a.AgentsLoaded(effect.ticket, _choices(client, effect.project))
        case a.LoadLog():
            return a.LogLoaded(effect.attempt, _log(client, effect))
        case a.LoadDiff():
            return _diff(client, effect.attempt)
    raise AssertionError(f"not a fetch: {effect}")


def _diff(client: CortexClient, attempt: str) -> a.DiffLoaded:
    """What it changed; nothing where nobody has told of a difference yet."""
    try:
        found = client.get(url_path("api", "attempts", attempt, "diff"))
    except NotFound:
        return a.DiffLoaded(attempt, "", "", False)
    cut = found.get("truncated") is True
    return a.DiffLoaded(attempt, str(found["text"]), str(found["at"]), cut)


def _instances(client: CortexClient, ticket: str) -> tuple[Instance, ...]:
    """The servers of its agents; none for a token that may not see them."""
    try:
        found = client.paginate("/api/instances", {"ticket": ticket})
        return tuple(Instance.read(item) for item in found)
    except NotAllowed:
        return ()


def _choices(client: CortexClient, project: str) -> tuple[a.Choice, ...]:
    """Agents first, then the profiles that this project may use; those that can start now first."""
    online = {
        name
        for runner in client.paginate("/api/runners")
        if runner["status"] == "online" and project in (runner["projects"] or [project])
        for name in runner["agents"]
    }
    found = [
        a.Choice(str(agent["name"]), "", agent["name"] in online)
        for agent in client.paginate("/api/agents")
    ]
    found += [
        a.Choice(str(item["agent"]), str(item["name"]), item["agent"] in online)
        for item in client.paginate("/api/profiles")
        if item["project"] in (None, project)
    ]
    return tuple(sorted(found, key=lambda choice: not choice.online))


def _log(client: CortexClient, effect: a.LoadLog) -> tuple[LogEntry, ...]:
    """What follows the last entry that is known, else the end of the log."""
    path = url_path("api", "attempts", effect.attempt, "log")
    if effect.after:
        page = client.get(path, {"after": effect.after, "limit": LOG_PAGE})["items"]
        if len(page) < LOG_PAGE:
            return tuple(LogEntry.read(item) for item in page)
    return tuple(LogEntry.read(item) for item in client.get(path, {"tail": LOG_PAGE})["items"])


def failure(effect: m.NetworkEffect, why: str) -> m.Incoming | None:
    match effect:
        case m.LoadBoard():
            return m.BoardFailed(effect.stream, why)
        case m.LoadProjects():
            return m.ProjectsFailed(why)
        case m.LoadDetail():
            return m.LoadFailed(effect.ticket, why)
        case m.LoadThread():
            return m.LoadFailed(effect.session, why)
        case m.LoadMessage():
            return m.LoadFailed(effect.session, why, effect.message)
        case a.LoadAgents():
            return a.AgentsFailed(effect.ticket, why)
        case a.LoadLog():
            return m.LoadFailed(LOG, why)
        case a.LoadDiff():
            return m.LoadFailed(DIFF, why)
    return None
