"""docs/keys.md, from the key table: `python -m cortex_cli.board.reference`."""

from cortex_cli.board import keys

INTRODUCTION = """# Keys of the board

Generated from `cortex_cli/board/keys.py` by `python -m cortex_cli.board.reference`.
`^d` is Ctrl and d. A key that is not available now says why in the last row; `:` finds every action
by its name or by what it does. [Configuration](configuration.md) says how to change the keys.
"""
COLUMNS = "| keys | what they do | action |"


def keys_md() -> str:
    """The page: one table a scope."""
    parts = [INTRODUCTION]
    for scope, heading in keys.SCOPES.items():
        rows = [
            f"| {' '.join(_code(keys.title(key)) for key in binding.keys)} | {binding.help} "
            f"| {_code(binding.action)} |"
            for binding in keys.TABLE
            if scope in binding.scopes
        ]
        parts.append(
            "\n".join([f"## {heading} (`{scope}`)", "", COLUMNS, "|---|---|---|", *rows, ""])
        )
    return "\n".join(parts)


def _code(key: str) -> str:
    return f"`{key}`"


if __name__ == "__main__":
    print(keys_md(), end="")
