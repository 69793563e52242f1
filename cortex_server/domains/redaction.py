"""Takes secrets of known forms out of what agents say, when it comes in.

A runner has done so before, and knows the values of its own secrets. This is for whoever tells the
server directly, and for what a runner overlooked: keys by their form, also Cortex's own. A secret
without a known form is not recognised, nor one that is cut into pieces before it comes.

Each code point of a secret becomes one of `MASK`, so offsets into the text stay right. Most text
has none of the `_RULES`' first words, and is then only searched for those, which costs little.
"""

import re
from typing import Any

from cortex_server.events.objects import Actor

MASK = "*"

# The word that must be there, and the secret behind or around it. In front of it stands nothing
# that would make it the middle of another word, and no pattern can run back: the time is linear.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (word, re.compile(pattern))
    for word, pattern in (
        ("ctx_", r"(?<![A-Za-z0-9])ctx_[A-Za-z0-9_-]{40,}"),
        ("sk-", r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,}"),
        ("k_live_", r"(?<![A-Za-z0-9])[rs]k_live_[A-Za-z0-9]{16,}"),
        ("k_test_", r"(?<![A-Za-z0-9])[rs]k_test_[A-Za-z0-9]{16,}"),
        ("ghp_", r"(?<![A-Za-z0-9])ghp_[A-Za-z0-9]{20,}"),
        ("gho_", r"(?<![A-Za-z0-9])gho_[A-Za-z0-9]{20,}"),
        ("ghu_", r"(?<![A-Za-z0-9])ghu_[A-Za-z0-9]{20,}"),
        ("ghs_", r"(?<![A-Za-z0-9])ghs_[A-Za-z0-9]{20,}"),
        ("ghr_", r"(?<![A-Za-z0-9])ghr_[A-Za-z0-9]{20,}"),
        ("github_pat_", r"(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{20,}"),
        ("glpat-", r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_.-]{16,}"),
        ("xox", r"(?<![A-Za-z0-9])xox[a-z]-[A-Za-z0-9-]{10,}"),
        ("AKIA", r"(?<![A-Za-z0-9])AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("ASIA", r"(?<![A-Za-z0-9])ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("AIza", r"(?<![A-Za-z0-9])AIza[A-Za-z0-9_-]{35}"),
        ("npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{30,}"),
        ("hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}"),
        ("pypi-", r"(?<![A-Za-z0-9])pypi-[A-Za-z0-9_-]{40,}"),
        ("eyJ", r"(?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,}+\.eyJ[A-Za-z0-9_-]{8,}+\.[\w-]*+"),
        ("earer ", r"(?<=[Bb]earer )[A-Za-z0-9_.~+/=-]{16,}"),
        ("://", r"(?<=://)[^\s/:@\"'<>]{0,256}:[^\s/@\"'<>]{1,256}(?=@)"),
    )
)
_KEY = "PRIVATE KEY"
_KEY_BLOCK = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----)"
    r"((?:[A-Za-z0-9+/=:,.\s\\]|-(?!----)){0,16384})"  # up to its end, or another beginning
)


def redacted(text: str) -> str:
    """The text with each secret masked; of the same length."""
    for word, pattern in _RULES:
        if word in text:
            text = pattern.sub(_masked, text)
    if _KEY in text:
        text = _KEY_BLOCK.sub(lambda found: found[1] + _blank(found[2]), text)
    return text


def as_said(by: Actor, text: str) -> str:
    """What somebody writes as it is kept: an agent's without secrets, a person's as it is."""
    return redacted(text) if by.kind == "agent" else text


def redacted_value(value: Any) -> Any:
    """A JSON value with every text in it redacted, names of fields too."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [redacted_value(item) for item in value]
    if isinstance(value, dict):
        return {redacted(name): redacted_value(item) for name, item in value.items()}
    return value


def _masked(found: re.Match[str]) -> str:
    return MASK * len(found[0])


def _blank(text: str) -> str:
    """Masked, but with its line breaks."""
    return "".join(letter if letter in "\r\n" else MASK for letter in text)
