"""A board by the contract alone: `state`, and what each event does to it.

It shares no code with the server or the client, on purpose.
"""

from typing import Any

Body = dict[str, Any]
EXTRAS = ("changed", "label")  # what ticket events carry beside the ticket
NOUNS = {"ticket": "tickets", "label": "labels", "session": "sessions", "review": "reviews"}


class ReferenceBoard:
    """history: (head, board) after the state and after each event; boards are never changed."""

    def __init__(self, state: Body) -> None:
        self.project: Body = state["project"]
        self.seq: int = state["seq"]
        self.objects = {name: {o["id"]: o for o in state[name]} for name in NOUNS.values()}
        self.history = [(int(state["head"]), self._copy())]

    def apply(self, position: int, seq: int | None, kind: str, payload: Body) -> None:
        self.seq = self.seq if seq is None else seq
        noun, verb = kind.split(".")
        if noun == "project":
            self.project = payload
        elif verb == "deleted" and noun in NOUNS:
            self._delete(noun, payload)
        elif noun in NOUNS:
            found = {name: value for name, value in payload.items() if name not in EXTRAS}
            if noun == "label":
                found = payload
            held = self.objects[NOUNS[noun]]
            held.pop(found["id"], None)
            if self._belongs(noun, found):
                held[found["id"]] = found
        self.history.append((position, self._copy()))

    def at(self, head: int) -> Body | None:
        """The board as it was at `head`, in the order of GET /board; None before the beginning."""
        known = [board for position, board in self.history if position <= head]
        if not known:
            return None
        board = known[-1]
        columns = [column["name"] for column in board["project"]["columns"]]
        return board | {
            "tickets": sorted(
                board["tickets"].values(),
                key=lambda t: (columns.index(t["status"]), t["rank"], t["id"]),
            ),
            "labels": sorted(board["labels"].values(), key=lambda o: o["name"].casefold()),
            "sessions": sorted(board["sessions"].values(), key=lambda o: o["id"]),
            "reviews": sorted(board["reviews"].values(), key=lambda o: o["id"]),
        }

    def _delete(self, noun: str, payload: Body) -> None:
        self.objects[NOUNS[noun]].pop(payload["id"], None)
        if noun == "ticket":
            for name in ("sessions", "reviews"):
                held = self.objects[name]
                kept = {i: o for i, o in held.items() if o["ticket"] != payload["key"]}
                self.objects[name] = kept

    @staticmethod
    def _belongs(noun: str, found: Body) -> bool:
        if noun == "ticket":
            return not found["archived"]
        if noun == "session":
            return bool(found["status"] != "ended")
        return noun != "review" or bool(found["state"] == "requested")

    def _copy(self) -> Body:
        held = {name: dict(objects) for name, objects in self.objects.items()}
        return {"project": self.project, "seq": self.seq, **held}
