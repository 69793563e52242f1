"""Takes secrets out of what agents say, before it is told to anybody.

Known are the formats below, private keys, credentials in headers and URLs, and the values of the
attempt's own secrets, as they are and quoted for a URL. A secret that was encoded in another
way, or that has no known form, is not recognised.

Every pattern begins with something fixed and runs back a bounded way at most, so the time is
linear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

MARK = "[redacted]"
_SHORTEST_SECRET = 6
_SHORTEST_LINE = 16  # of a secret with several
_LONGEST_WORD = 2048  # of a longer one, the beginning is told before its end is known
_CONTEXT = 160  # what was told already and may still say what follows
_LONGEST_KEY = 16_384  # when its end does not come
_END_OF_KEY = 80  # no longer than this
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))  # what a word is made of

# (?<!…) keeps a prefix from being found inside a word; each class is free of what ends it.
_TOKENS = r"""
    (?<![A-Za-z0-9])(?:
      ctx_[A-Za-z0-9_-]{20,}
    | gh[oprsu]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,}
    | gl(?:pat|dt|rt|cbt|ptt|ft|imt|oas|soat|agent|ffct)-[A-Za-z0-9_.-]{16,}
    | xox[a-z]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{10,}
    | (?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])
    | sk-[A-Za-z0-9_-]{20,}
    | [rs]k_(?:live|test)_[A-Za-z0-9]{16,}
    | AIza[A-Za-z0-9_-]{35}
    | (?:npm|hf)_[A-Za-z0-9]{30,}
    | pypi-[A-Za-z0-9_-]{40,}
    )
  | (?<![A-Za-z0-9_.-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+(?:\.[A-Za-z0-9_-]*+)?
"""
# What comes before `secret` stays: it may have been told already.
_CREDENTIALS = r"""
    (?:[Aa]uthorization|AUTHORIZATION)["']?\s{0,4}[:=]\s{0,4}["']?
        (?:(?:[Bb]earer|[Bb]asic|[Tt]oken|BEARER|BASIC)\s{1,4})?
        (?!(?:[Bb]earer|[Bb]asic|[Tt]oken|BEARER|BASIC)(?:\s|$))(?P<header>[^\s"',;<>]{6,})
  | (?:[Xx]-[Aa]pi-[Kk]ey|[Pp]rivate-[Tt]oken|PRIVATE-TOKEN|aws_secret_access_key
        |AWS_SECRET_ACCESS_KEY|aws_session_token|AWS_SESSION_TOKEN)
        ["']?\s{0,4}[:=]\s{0,4}["']?(?P<key>[^\s"',;<>]{6,})
  | ://[^\s/:@"'<>]{0,256}:(?P<password>[^\s/"'<>]{1,256})@
  | ://(?P<user>[^\s/:@"'<>]{20,256})@
  | hooks\.slack\.com/(?:services|workflows|triggers)/(?P<hook>[A-Za-z0-9/_-]{10,})
"""
_NAMED = re.compile(f"(?P<token>{_TOKENS})|{_CREDENTIALS}", re.VERBOSE)
# Most text has none of these, and then nothing else is looked for.
_HINTS = (
    *("ctx_", "ghp_", "gho_", "ghr_", "ghs_", "ghu_", "github_pat_", "xox", "xapp-"),
    *("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "gloas-", "glsoat-"),
    *("glagent-", "glffct-", "AKIA", "ASIA", "sk-", "k_live_", "k_test_", "AIza", "npm_", "hf_"),
    *("pypi-", "eyJ", "uthorization", "UTHORIZATION", "pi-Key", "pi-key", "rivate-", "PRIVATE-"),
    *("aws_", "AWS_", "://", "hooks.slack"),
)
_KEY_BEGIN = re.compile(
    # What follows tells it from a program's text that looks for keys.
    r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?=[\sA-Za-z0-9+/\\])"
)
_KEY_END = re.compile(r"-----END (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_REST_OF_TOKEN = re.compile(r"[A-Za-z0-9_.~+/=-]*+")


class Redactor:
    """Knows an attempt's own secrets, and all known formats."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
        lines = {line.strip() for form in known for line in form.splitlines()}
        fit = {form for form in known if len(form) >= _SHORTEST_SECRET}
        fit |= {line for line in lines if len(line) >= _SHORTEST_LINE}
        self.secrets = tuple(sorted(fit))

    def text(self, text: str) -> str:
        """Return a whole text without its secrets."""
        stream = self.stream()
        return stream.feed(text) + stream.finish()

    def value(self, value: Any) -> Any:
        """Return a JSON value with every string in it redacted, names of fields too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(inner) for inner in value]
        return value

    def stream(self) -> RedactedStream:
        """Return a reader of a text that comes in pieces."""
        return RedactedStream(self)

    def spans(self, text: str, begin: int) -> list[tuple[int, int]]:
        """Return where secrets are that end after `begin`, in order, without overlap."""
        found = [span for secret in self.secrets for span in _places(secret, text)]
        if any(hint in text for hint in _HINTS):
            found += [match.span(match.lastgroup or 0) for match in _NAMED.finditer(text)]
        joined: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if end <= begin:
                continue
            if joined and start < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        return joined

    def unfinished(self, text: str) -> int:
        """Return how many characters at the end may be the beginning of an own secret."""
        longest = 0
        for secret in self.secrets:
            at = max(len(text) - len(secret) + 1, 0)
            while (at := text.find(secret[0], at)) >= 0:
                if secret.startswith(text[at:]):
                    longest = max(longest, len(text) - at)
                    break
                at += 1
        return longest


def _places(secret: str, text: str) -> Iterator[tuple[int, int]]:
    at = text.find(secret)
    while at >= 0:
        yield at, at + len(secret)
        at = text.find(secret, at + len(secret))


class RedactedStream:
    """A text that comes in pieces, cut anywhere; what may become a secret is held back.

    That is the last word, as a rule: a piece that ends with a blank is told at once.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._context = ""  # told already
        self._held = ""
        self._in_token = False  # told as redacted, and its rest may still come
        self._key_left = 0  # in a private key: how much of it is believed

    def feed(self, piece: str) -> str:
        """Take a piece; return what can be told now."""
        self._held += piece
        return self._told(last=False)

    def finish(self) -> str:
        """Return what was held back. What is fed afterwards goes on from here."""
        return self._told(last=True)

    def _told(self, last: bool) -> str:
        out = []
        while True:
            if self._key_left and not self._swallow_key(last):
                break
            if self._in_token:
                self._swallow_token()
            key = _KEY_BEGIN.search(self._context + self._held)
            if key is None or key.end() < len(self._context):
                out.append(self._release(len(self._held) if last else self._safe()))
                break
            split = key.end() - len(self._context)
            rest, self._held = self._held[split:], self._held[:split]
            out += [self._release(split), MARK]
            self._held, self._context, self._in_token = rest, "", False
            self._key_left = _LONGEST_KEY
        return "".join(out)

    def _safe(self) -> int:
        """Return how much of what is held cannot be the beginning of a secret."""
        length = len(self._held)
        tail = self._held[-_LONGEST_WORD - 1 :]
        word = len(tail) - len(tail.rstrip(_PRINTABLE))
        if word > _LONGEST_WORD:
            word = _LONGEST_WORD // 2
        return length - min(max(word, self._redactor.unfinished(self._held)), length)

    def _release(self, count: int) -> str:
        """Return what is held, redacted, up to `count` or the end of a secret that goes beyond."""
        if count <= 0:
            return ""
        text, begin = self._context + self._held, len(self._context)
        end = begin + count
        out, at = [], begin
        for start, stop in self._redactor.spans(text, begin):
            if start >= end:
                break
            out += [text[at : max(start, at)], MARK]
            at = max(stop, at)
        end = max(end, at)
        self._in_token = at == len(text) and not text.endswith(self._redactor.secrets)
        out.append(text[at:end])
        self._held = text[end:]
        self._context = text[max(end - _CONTEXT, 0) : end]
        return "".join(out)

    def _swallow_token(self) -> None:
        found = _REST_OF_TOKEN.match(self._held)
        rest = found.end() if found else 0
        if self._held:
            self._in_token = rest == len(self._held)
            self._held = self._held[rest:]

    def _swallow_key(self, last: bool) -> bool:
        """Drop what belongs to a private key; return whether it is over."""
        end = _KEY_END.search(self._held)
        if end is not None:
            self._held, self._key_left = self._held[end.end() :], 0
            return True
        keep = 0 if last else _END_OF_KEY
        dropped = max(len(self._held) - keep, 0)
        self._key_left = max(self._key_left - dropped, 0)
        self._held = self._held[dropped:]
        return self._key_left == 0
