"""docs/keys.md, from the key table: `python -m cortex_cli.board.reference`."""

from cortex_cli.board import keys

INTRODUCTION = """# Keys of the board

Generated from `cortex_cli/board/keys.py` by `python -m cortex_cli.board.reference`.
`^d` is Ctrl and d. A key that is not available now says why in the last row.
"""


def keys_md() -> str:
    """The page: one table a scope."""
    parts = [INTRODUCTION]
    for scope, heading in keys.SCOPES.items():
        rows = [
            f"| {' '.join(_code(keys.title(key)) for key in binding.keys)} | {binding.help} |"
            for binding in keys.TABLE
            if scope in binding.scopes
        ]
        parts.append(
            "\n".join([f"## {heading}", "", "| keys | what they do |", "|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def _code(key: str) -> str:
    return f"`{key}`"


if __name__ == "__main__":
    print(keys_md(), end="")
