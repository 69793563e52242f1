"""Fractional ranks: the order of the cards in a column, such that one move changes one card.

A rank is eight base-62 digits, and where two neighbours leave no room, more digits behind them.
Ranks compare as text, byte by byte. Cards added at either end step by a fixed distance, so a
rank only grows where cards are squeezed between two others again and again: by a digit for every
six. Before one becomes too long for an index, the column is given new ones.
"""

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LONG = 200  # digits; PostgreSQL's index takes 2,704 bytes
_WIDTH = 8
_SPACE = len(DIGITS) ** _WIDTH
_STEP = len(DIGITS) ** 3
_VALUES = {digit: value for value, digit in enumerate(DIGITS)}


def between(before: str | None, after: str | None) -> str:
    """A rank that sorts after `before` and before `after`; None is the open end.

    Raises ValueError when `before` does not sort before `after`.
    """
    if before is not None and after is not None and before >= after:
        raise ValueError(f"{before!r} does not sort before {after!r}")
    if before is None and after is None:
        return _whole(_SPACE // 2)
    if after is None:
        return _beyond(before or "", _STEP)
    if before is None:
        return _beyond(after, -_STEP)
    return _middle(before, after)


def spread(count: int) -> list[str]:
    """Ranks for so many cards, in order, as far apart as there is room."""
    distance = _SPACE // (count + 1)
    return [_whole(distance * place) for place in range(1, count + 1)]


def _beyond(rank: str, step: int) -> str:
    """A rank one step past either end of a column."""
    value = _number(rank[:_WIDTH].ljust(_WIDTH, "0")) + step
    if 0 < value < _SPACE - 1:
        return _whole(value)
    last = "z" * (max(len(rank), _WIDTH) + 1)  # sorts behind every rank that is shorter
    return _middle(rank, last) if step > 0 else _middle("", rank)


def _middle(before: str, after: str) -> str:
    """The shortest digits between two ranks, no fewer than a whole one has.

    Digits behind the whole ones never end in 0: "…6" and "…60" would leave no room between them.
    """
    width = _WIDTH
    while True:
        low = _number(before[:width].ljust(width, "0"))
        # Where `after` goes on past the cut, its cut-off form itself still sorts before it.
        high = _number(after[:width].ljust(width, "0")) + (len(after) > width)
        middle = (low + high) // 2
        if width > _WIDTH and middle % len(DIGITS) == 0:
            middle += 1
        if low < middle < high:
            return _digits(middle, width)
        width += 1


def _whole(value: int) -> str:
    return _digits(value, _WIDTH)


def _number(digits: str) -> int:
    value = 0
    for digit in digits:
        value = value * len(DIGITS) + _VALUES[digit]
    return value


def _digits(value: int, width: int) -> str:
    digits = []
    for _ in range(width):
        value, digit = divmod(value, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))
