"""Pasted text goes where text is typed and nowhere else; of copied text it is said how."""

from cortex_cli.board import moves, prompts
from cortex_cli.board import text as texts
from cortex_cli.board.messages import Copied, Pasted
from cortex_cli.board.model import MANY_LINES, Model, Prompt

NOWHERE = "A paste goes only where text is typed: it did nothing."
CUT = "The pasted text was too long: its end is missing."
SHOWN_CELLS = 40
KEPT = "\n\t\u200d"  # of what is not printable


def pasted(model: Model, paste: Pasted) -> Model:
    """Put it in at the cursor. Lines stay where the text may have several, else become spaces."""
    prompt = model.overlay
    if not isinstance(prompt, Prompt):
        return moves.toast(model, NOWHERE, refusal=True)
    text = "".join(char for char in paste.text if char.isprintable() or char in KEPT)
    lines = text.expandtabs(4).split("\n")
    while len(lines) > 1 and not lines[-1]:
        lines.pop()  # what was copied as whole lines ends with a break that nobody means
    text = ("\n" if prompt.kind in MANY_LINES else " ").join(lines)
    room = max(0, prompts.MAX_INPUT - len(prompt.text))
    model = prompts.typed(model, text[:room])
    if paste.cut or len(text) > room:
        return moves.toast(model, CUT, bad=True)
    return model


def copied(model: Model, copy: Copied) -> Model:
    """Say what happened, no more: nobody is told that a text is where it may not be."""
    shown = texts.clip(texts.clean(copy.text), SHOWN_CELLS)
    if copy.by:
        return moves.toast(model, f"Copied {shown} ({', '.join(copy.by)})")
    if copy.sent:
        return moves.toast(model, f"Copied {shown}, if this terminal allows it")
    return moves.toast(model, f"No clipboard here; to copy by hand: {texts.clean(copy.text)}")
