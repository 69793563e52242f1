"""The key table with the user's changes: what is dispatched, hinted and shown.

Everything that names a key asks here; `keys.TABLE` is only what it would be without changes.
"""

from functools import lru_cache

from cortex_cli.board import keys
from cortex_cli.board.keys import Binding
from cortex_cli.board.model import Model
from cortex_cli.board.settings import Changes


class Keymap:
    """keys: by scope and action. bindings: by scope and key."""

    def __init__(self, changes: Changes = ()) -> None:
        changed = {(scope, action): names for scope, action, names in changes}
        self.keys: dict[tuple[str, str], tuple[str, ...]] = {}
        self.bindings: dict[tuple[str, str], Binding] = {}
        for binding in keys.TABLE:
            for scope in binding.scopes:
                names = changed.get((scope, binding.action), binding.keys)
                self.keys[scope, binding.action] = names
                self.bindings |= {(scope, name): binding for name in names}

    def titles(self, scope: str, binding: Binding) -> str:
        """All the keys of an action in a scope, as people write them; "" when it has none."""
        return " ".join(map(keys.title, self.keys[scope, binding.action]))


@lru_cache(maxsize=4)
def keymap(changes: Changes = ()) -> Keymap:
    """The table with some changes, worked out once."""
    return Keymap(changes)


def of(model: Model) -> Keymap:
    return keymap(model.settings.keys)


def find(model: Model, key: str) -> Binding | None:
    """The binding of a key where the model is; None for a key that does nothing there."""
    return of(model).bindings.get((model.scope, key))


def key_of(model: Model, action: str) -> str:
    """The first key of an action, as people write it, for a sentence that names it.

    That of the screen that is shown, else of any; of an action without a key how the palette
    finds it, such as `:start`.
    """
    found = of(model).keys
    places = [(model.screen, action), *(place for place in found if place[1] == action)]
    names = next((found[place] for place in places if found.get(place)), ())
    return keys.title(names[0]) if names else f":{action}"


def hints(model: Model) -> tuple[tuple[str, str], ...]:
    """(key, word) of the keys that the last row names: those that do something now.

    What an agent waits for comes second, so that a narrow screen names it, too.
    """
    found, scope = of(model).keys, model.scope
    shown = [
        b
        for b in keys.TABLE
        if b.hint and scope in b.scopes and found[scope, b.action] and not b.refusal(model)
    ]
    shown[1:] = sorted(shown[1:], key=lambda b: b.action != "answer")
    return tuple((keys.title(found[scope, b.action][0]), b.hint) for b in shown)
