"""Secrets are taken out of what agents say (SECURITY.md, row 19), however it is cut."""

import time

import pytest

from cortex_cli.runner.redaction import MARK, Redactor
from cortex_server.ids import new_secret

OWN = "horse battery/staple=1"


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1B2" * 9,
        "ghs_" + "a1B2" * 9,
        "github_pat_11ABCDEFG0_" + "x" * 59,
        "glpat-" + "Abc_12-x" * 3,
        "xoxb-123456789012-123456789012-" + "a" * 24,
        "xapp-1-A012-345-" + "f" * 20,
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "sk-" + "a1" * 24,
        "sk-proj-" + "aB_1-" * 20,
        "sk-ant-api03-" + "aB_1-" * 18 + "AA",
        "sk_live_" + "a1" * 12,
        "AIza" + "b" * 35,
        "npm_" + "c" * 36,
        "hf_" + "d" * 34,
        "pypi-AgEIcHlwaS5vcmc" + "e" * 60,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbU",
    ],
)
@pytest.mark.parametrize("around", ["{}", "token={} and on", '{{"k":"{}"}}', "({}),", "a\n{}\nb"])
def test_known_formats_are_redacted_and_nothing_else(secret: str, around: str) -> None:
    assert Redactor().text(around.format(secret)) == around.format(MARK)


def test_the_servers_own_tokens_are_known() -> None:
    assert Redactor().text(f"CORTEX_TOKEN={new_secret()}") == f"CORTEX_TOKEN={MARK}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Authorization: Bearer abc.def-123", f"Authorization: Bearer {MARK}"),
        ("authorization: Basic dXNlcjpwYXNz\r\nHost: x", f"authorization: Basic {MARK}\r\nHost: x"),
        ('{"Authorization": "token 0123456789"}', f'{{"Authorization": "token {MARK}"}}'),
        ("-H 'Authorization: 0123456789'", f"-H 'Authorization: {MARK}'"),
        ("PRIVATE-TOKEN: 0123456789", f"PRIVATE-TOKEN: {MARK}"),
        ("x-api-key: 0123456789", f"x-api-key: {MARK}"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7", f"aws_secret_access_key = {MARK}"),
        ("https://user:pass@host/x", f"https://user:{MARK}@host/x"),
        ("postgresql://u:p@ss:w@db:5432/x", f"postgresql://u:{MARK}@db:5432/x"),
        ("https://0123456789abcdef0123@host/", f"https://{MARK}@host/"),
    ],
)
def test_credentials_are_redacted_where_they_stand(text: str, told: str) -> None:
    assert Redactor().text(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "task-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa desk-aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "ssh://git@host/x http://localhost:8080/a@b https://host:443/",
        "Authorization: Bearer",
        "sk-short ghp_short AKIAshort",
        'if "-----BEGIN PRIVATE KEY-----" in text: refuse()',
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "",
        " \n\t",
        "逐字逐句 🎉 \x1b[31mred\x1b[0m",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert Redactor([OWN]).text(text) == text


@pytest.mark.parametrize("kind", ["", "RSA ", "OPENSSH ", "EC ", "ENCRYPTED "])
def test_private_keys_are_redacted(kind: str) -> None:
    key = f"-----BEGIN {kind}PRIVATE KEY-----\nMIIEabc/+\nxyz==\n-----END {kind}PRIVATE KEY-----"
    told = Redactor().text(f"a {key} b")
    assert told == f"a -----BEGIN {kind}PRIVATE KEY-----{MARK} b"
    told = Redactor().text("a " + key.replace("\n", "\\n") + " b")
    assert told == f"a -----BEGIN {kind}PRIVATE KEY-----{MARK} b"


def test_a_key_without_an_end_does_not_swallow_everything() -> None:
    body = "MIIEabc/+\n" * 20
    text = f"-----BEGIN PRIVATE KEY-----\n{body}"
    assert Redactor().text(text) == f"-----BEGIN PRIVATE KEY-----{MARK}"
    assert Redactor().text(text + "x " * 20_000 + "the end").endswith("the end")


def test_own_secrets_are_redacted_also_quoted_and_by_line() -> None:
    redactor = Redactor([OWN, "first line of it, long\nsecond line of it, long", "abc", ""])
    assert redactor.text(f"<{OWN}>") == f"<{MARK}>"
    assert redactor.text("?k=horse%20battery%2Fstaple%3D1&") == f"?k={MARK}&"
    assert redactor.text("> second line of it, long <") == f"> {MARK} <"
    assert redactor.text("abc") == "abc"  # too short to be one


def test_values_are_redacted_in_depth() -> None:
    value = {"a": [f"x {OWN}", 1, None, True], OWN: {"b": OWN}}
    told = {"a": [f"x {MARK}", 1, None, True], MARK: {"b": MARK}}
    assert Redactor([OWN]).value(value) == told


TEXT = (
    f"one ghp_{'a1' * 18}, Authorization: Bearer abcdef.123456 x\n"
    f"https://user:secret@host/ {OWN} and {OWN[:12]} no; "
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\n"
    f"sk-ant-{'b2-' * 20} 逐{'c' * 30}字 {OWN}. eyJhbGciOiJI.eyJzdWIiOiIx.c2ln end"
)


def in_pieces(redactor: Redactor, pieces: list[str]) -> str:
    stream = redactor.stream()
    return "".join([stream.feed(piece) for piece in pieces]) + stream.finish()


def test_a_text_cut_anywhere_is_redacted_like_the_whole() -> None:
    redactor = Redactor([OWN])
    whole = redactor.text(TEXT)
    for secret in ("a1a1", "abcdef", ":secret@", OWN, "MIIE", "b2-b2", "c2ln"):
        assert secret not in whole
    assert in_pieces(redactor, list(TEXT)) == whole
    for at in range(len(TEXT)):
        assert in_pieces(redactor, [TEXT[:at], TEXT[at:]]) == whole, TEXT[at - 10 : at + 10]
    for size in range(2, 40):
        pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
        assert in_pieces(redactor, pieces) == whole, size


def test_a_key_whose_first_line_was_told_already_is_redacted() -> None:
    stream = Redactor().stream()
    assert stream.feed("-----BEGIN PRIVATE KEY-----") + stream.finish() == (
        "-----BEGIN PRIVATE KEY-----"
    )
    assert stream.feed("\nMIIE\n-----END PRIVATE KEY-----\n") == f"{MARK}\n"


def test_whole_words_are_told_at_once() -> None:
    stream = Redactor([OWN]).stream()
    assert stream.feed("I look at the fi") == "I look at the "
    assert stream.feed("le. ") == "file. "
    assert stream.feed("逐字逐句") == "逐字逐句"
    assert stream.feed("my horse battery") == "my "  # may become the secret
    assert stream.feed(" is empty ") == "horse battery is empty "


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_a_secret_in_or_across_a_very_long_word_is_redacted(size: int) -> None:
    secret = "ghp_" + "a1B2" * 2000
    for before in (5, 1000, 2040, 2047, 2048, 3000):
        text = "x" * before + "." + secret + "/" + "y" * 3000
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert in_pieces(Redactor(), pieces) in (
            "x" * before + "." + MARK + "/" + "y" * 3000,
            "x" * before + "." + MARK,  # what follows seemed to belong to it
        )


@pytest.mark.parametrize(
    "unit",
    ["x", "eyJ", "eyJaaaaaaaa.", "://", "://a:", "sk-", "ctx_", "Authorization: ", "horse ",
     "-----BEGIN A ", "a b c d e f\n"],
)  # fmt: skip
def test_time_is_linear(unit: str) -> None:
    """Processor time for eight times as much is far from sixty-four times as much."""
    redactor = Redactor([OWN])

    def cost(amount: int) -> float:
        text = unit * (amount // len(unit))
        begin = time.process_time()
        redactor.text(text)
        stream = redactor.stream()
        for at in range(0, len(text), 1000):
            stream.feed(text[at : at + 1000])
        return time.process_time() - begin

    assert cost(240_000) < 24 * max(cost(30_000), 0.003)
