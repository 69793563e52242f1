"""Changes and fetches, made through the SDK: an effect in, the message that answers it out."""

from typing import Any, get_args

from cortex_cli.board import asks as a
from cortex_cli.board import change_calls
from cortex_cli.board import changes as ch
from cortex_cli.board import messages as m
from cortex_cli.board.model import DIFF, LOG
from cortex_cli.board.overviews import LoadOverview, Overview
from cortex_cli.board.reading import BadObject
from cortex_cli.board.wire import Comment, Message, Review, Session, Ticket
from cortex_cli.board.work import Attempt, Instance, LogEntry, Permission
from cortex_cli.sdk import Conflict, CortexClient, NotAllowed, NotFound, url_path

LOG_PAGE = 500
THREAD_PAGE = 100
Change = m.Move | ch.Create | ch.AddComment | ch.Alter | ch.Delete | a.Ask
CHANGES = (m.Move, ch.Create, ch.AddComment, ch.Alter, ch.Delete, *get_args(a.Ask))


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
        case ch.Create():
            body = {**effect.fields, "title": effect.title, "status": effect.status}
            path = url_path("api", "projects", effect.project, "tickets")
            return ch.Created(Ticket.read(client.post(path, json=body)), effect.number)
        case ch.AddComment():
            path = url_path("api", "tickets", effect.ticket, "comments")
            comment = Comment.read(client.post(path, json={"body": effect.body}))
            return ch.Commented(comment, effect.number)
        case ch.Alter():
            return change_calls.altered(client, effect)
        case ch.Delete():
            return change_calls.deleted(client, effect)
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
            return a.Asked("", None, "Sent; the log says if the agent does not take it")
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
            again = change_calls.may_work_again(error)
            return m.MoveRefused(effect.ticket_id, why, current, again)
        case ch.Create():
            return ch.Refused("title", effect.title, why, effect.number)
        case ch.AddComment():
            return ch.Refused("comment", effect.body, why, effect.number)
        case ch.Alter():
            lost = tuple(change_calls.refusal(row, error) for row in effect.rows)
            return ch.Altered(effect.number, (), lost)
        case ch.Delete():
            lost = tuple(change_calls.refusal(row, error) for row in effect.rows)
            return ch.Deleted(effect.number, (), lost)
        case _:
            return _not_asked(effect, why)


def _not_asked(ask: a.Ask, why: str) -> a.AskRefused:
    match ask:
        case a.StartAttempt():
            return a.AskRefused(ask.ticket, f"Nothing was started on {ask.ticket}: {why}")
        case a.StopAttempt():
            return a.AskRefused(ask.attempt, f"Not stopped: {why}")
        case a.RetryAttempt():
            return a.AskRefused(ask.ticket, f"Not tried again on {ask.ticket}: {why}")
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
            return _board(client, effect)
        case LoadOverview():
            return _overview(client, effect)
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
            return m.ThreadLoaded(effect.session, _thread(client, effect), effect.before)
        case m.LoadMessage():
            path = url_path("api", "sessions", effect.session, "messages", effect.message)
            return m.MessageLoaded(Message.read(client.get(path)))
        case a.LoadAsked(review=True):
            return a.AskedLoaded(Review.read(client.get(url_path("api", "reviews", effect.id))))
        case a.LoadAsked():
            path = url_path("api", "permissions", effect.id)
            return a.AskedLoaded(Permission.read(client.get(path)))
        case a.LoadAgents():
            return a.AgentsLoaded(effect.ticket, _choices(client, effect.project))
        case a.LoadLog():
            return _log(client, effect)
        case a.LoadDiff():
            return _diff(client, effect.attempt)
    raise AssertionError(f"not a fetch: {effect}")


def _board(client: CortexClient, effect: m.LoadBoard) -> m.Snapshot | m.BoardFailed:
    try:
        body = client.get(url_path("api", "projects", effect.project, "board"))
    except (NotFound, NotAllowed) as error:
        return m.BoardFailed(effect.stream, str(error), effect.project, gone=True)
    return m.Snapshot(effect.stream, body, True)


def _overview(client: CortexClient, effect: LoadOverview) -> Overview:
    body = client.get("/api/dashboard")
    if not isinstance(body, dict):
        raise BadObject("the dashboard is no object")
    return Overview(effect.stream, body, True)


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


def _log(client: CortexClient, effect: a.LoadLog) -> a.LogLoaded:
    """The page before what is known, what follows it, else the end of the log."""
    path = url_path("api", "attempts", effect.attempt, "log")

    def entries(**query: int) -> tuple[LogEntry, ...]:
        return tuple(LogEntry.read(item) for item in client.get(path, query)["items"])

    if effect.before:
        found = entries(before=effect.before, tail=LOG_PAGE)
        return a.LogLoaded(effect.attempt, found, effect.before)
    if effect.after:
        found = entries(after=effect.after, limit=LOG_PAGE)
        if effect.step or len(found) < LOG_PAGE:
            return a.LogLoaded(effect.attempt, found, more=len(found) == LOG_PAGE)
    return a.LogLoaded(effect.attempt, entries(tail=LOG_PAGE))


def _thread(client: CortexClient, effect: m.LoadThread) -> tuple[Message, ...]:
    """The page before what is known, all that follows it, else the end of the conversation."""
    path = url_path("api", "sessions", effect.session, "messages")
    if effect.after is not None:
        return tuple(Message.read(i) for i in client.paginate(path, {"after": effect.after}))
    query = {"tail": THREAD_PAGE} | ({"before": effect.before} if effect.before else {})
    return tuple(Message.read(item) for item in client.get(path, query)["items"])


def failure(effect: m.NetworkEffect, why: str) -> m.Incoming | None:
    match effect:
        case m.LoadBoard():
            return m.BoardFailed(effect.stream, why, effect.project)
        case LoadOverview():
            return m.BoardFailed(effect.stream, why)
        case m.LoadProjects():
            return m.ProjectsFailed(why)
        case m.LoadDetail():
            return m.LoadFailed(effect.ticket, why)
        case m.LoadThread():
            return m.LoadFailed(effect.session, why)
        case m.LoadMessage():
            return m.LoadFailed(effect.session, why, effect.message)
        case a.LoadAsked():
            return a.AskRefused("", f"It cannot be read: {why}")
        case a.LoadAgents():
            return a.AgentsFailed(effect.ticket, why)
        case a.LoadLog():
            return m.LoadFailed(LOG, why)
        case a.LoadDiff():
            return m.LoadFailed(DIFF, why)
    return None
