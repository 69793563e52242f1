"""The terminal: the only file that knows curses, and only ever called by one thread.

curses has traps: writing the last cell raises though it draws, sizes go stale after a resize, an
unknown TERM is a traceback. Each is dealt with here, where it is met.
"""

import base64
import curses
import os
import sys
import time
from collections.abc import Mapping

from cortex_cli.board import text as texts
from cortex_cli.board.canvas import (
    ACCENT,
    BAD,
    CURSOR,
    DIM,
    GOOD,
    INFO,
    OVER,
    PLAIN,
    SELECTED,
    STRONG,
    WARN,
    Row,
)
from cortex_cli.board.messages import Clicked, Key

ESC_DELAY_MS = 25
FALLBACK_TERM = "xterm-256color"
JOINER = "\u200d"  # between the parts of one emoji: not printable, and yet typed

NAMES = {
    curses.KEY_LEFT: "left",
    curses.KEY_RIGHT: "right",
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
    curses.KEY_PPAGE: "pgup",
    curses.KEY_NPAGE: "pgdn",
    curses.KEY_ENTER: "enter",
    curses.KEY_BTAB: "backtab",
    curses.KEY_BACKSPACE: "backspace",
    curses.KEY_DC: "delete",
}
CONTROLS = {
    "\n": "enter",
    "\r": "enter",
    "\t": "tab",
    "\x1b": "esc",
    "\x7f": "backspace",
    "\x08": "backspace",
}

# Colours are the eight that every theme defines, on the terminal's own background.
COLOURS = {
    ACCENT: (curses.COLOR_CYAN, curses.A_BOLD),
    GOOD: (curses.COLOR_GREEN, 0),
    WARN: (curses.COLOR_YELLOW, curses.A_BOLD),
    BAD: (curses.COLOR_RED, curses.A_BOLD),
    INFO: (curses.COLOR_CYAN, 0),
    OVER: (curses.COLOR_RED, curses.A_REVERSE | curses.A_BOLD),
}
MONOCHROME = {
    PLAIN: 0,
    DIM: curses.A_DIM,
    STRONG: curses.A_BOLD,
    ACCENT: curses.A_BOLD,
    GOOD: 0,
    WARN: curses.A_BOLD,
    BAD: curses.A_BOLD,
    INFO: 0,
    SELECTED: curses.A_REVERSE,
    OVER: curses.A_REVERSE | curses.A_BOLD,
    CURSOR: curses.A_REVERSE,
}
GREY_256 = 244
WHEEL = {curses.BUTTON4_PRESSED: "wheel-up", curses.BUTTON5_PRESSED: "wheel-down"}
# Presses that come together with their release are joined by curses, whatever the interval.
CLICKS = curses.BUTTON1_PRESSED | curses.BUTTON1_CLICKED
DOUBLE_CLICKS = curses.BUTTON1_DOUBLE_CLICKED | curses.BUTTON1_TRIPLE_CLICKED
BUTTONS = CLICKS | DOUBLE_CLICKS | curses.BUTTON4_PRESSED | curses.BUTTON5_PRESSED
DOUBLE_CLICK_S = 0.4


def usable(environ: Mapping[str, str]) -> bool:
    """Whether the terminal can place a cursor; TERM is corrected when nobody knows it."""
    for term in (environ.get("TERM", ""), FALLBACK_TERM):
        try:
            curses.setupterm(term, sys.stdout.fileno())
        except curses.error:
            continue
        os.environ["TERM"] = term
        return bool(curses.tigetstr("cup"))
    return False


class Terminal:
    """open, then paint and keys as often as needed, then close, whatever happened in between."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._no_color = bool(environ.get("NO_COLOR"))
        self._shown: tuple[Row, ...] = ()
        self._pressed = (0.0, 0, 0)  # when and where the mouse was pressed last
        self._attributes: dict[str, int] = dict(MONOCHROME)

    def open(self) -> None:
        """Take the terminal over. Raises curses.error when it cannot be."""
        for name in ("LINES", "COLUMNS"):
            os.environ.pop(name, None)  # exported ones would freeze the size
        curses.set_escdelay(ESC_DELAY_MS)
        self._screen = curses.initscr()
        curses.noecho()
        curses.cbreak()
        self._screen.keypad(True)
        self._screen.nodelay(True)
        self._hide_cursor()
        self._colours()
        self.use_mouse(True)

    def close(self) -> None:
        """Give the terminal back as it was."""
        try:
            self._screen.keypad(False)
            curses.endwin()
        except (curses.error, AttributeError):
            pass  # never opened, or hung up: there is nothing left to restore

    def _hide_cursor(self) -> None:
        try:
            curses.curs_set(0)
        except curses.error:
            pass  # some terminals cannot

    def _colours(self) -> None:
        if self._no_color or not curses.has_colors():
            return
        try:
            curses.start_color()
            curses.use_default_colors()
        except curses.error:
            return
        if curses.COLORS < 8:
            return
        for number, (role, (colour, style)) in enumerate(COLOURS.items(), 1):
            curses.init_pair(number, colour, -1)
            self._attributes[role] = curses.color_pair(number) | style
        if curses.COLORS >= 256:
            curses.init_pair(len(COLOURS) + 1, GREY_256, -1)
            self._attributes[DIM] = curses.color_pair(len(COLOURS) + 1)

    # --- size and modes

    def size(self) -> tuple[int, int]:
        """(width, height) as curses has it now."""
        height, width = self._screen.getmaxyx()
        return width, height

    def resize(self) -> tuple[int, int]:
        """Ask the terminal for its size and take it over."""
        try:
            width, height = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return self.size()
        if (width, height) != self.size() and width > 0 and height > 0:
            curses.resizeterm(height, width)
        self._shown = ()
        self._screen.clearok(True)
        return self.size()

    def leave(self) -> None:
        """Give the terminal back for a while."""
        curses.def_prog_mode()
        curses.endwin()

    def enter(self) -> None:
        """Take it over again, and draw everything anew with the next paint."""
        curses.reset_prog_mode()
        self._hide_cursor()
        self._shown = ()
        self._screen.clearok(True)

    # --- in and out

    def keys(self) -> list[Key | Clicked]:
        """The keys that were pressed, without waiting."""
        found: list[Key | Clicked] = []
        while True:
            try:
                pressed = self._screen.get_wch()
            except curses.error:
                return found
            if pressed == curses.KEY_MOUSE:
                found.extend(self._mouse())
            elif name := key_name(pressed):
                found.append(Key(name))

    def use_mouse(self, on: bool) -> None:
        """Take the mouse, or leave it to the terminal, which selects text with it."""
        curses.mouseinterval(0)  # a press at once, without waiting whether it becomes a click
        curses.mousemask(BUTTONS if on else 0)

    def _mouse(self) -> list[Key | Clicked]:
        try:
            _, x, y, _, state = curses.getmouse()
        except curses.error:
            return []
        for button, name in WHEEL.items():
            if state & button:
                return [Key(name)]
        if not state & (CLICKS | DOUBLE_CLICKS):
            return []
        now, before = time.monotonic(), self._pressed
        self._pressed = (now, y, x)
        double = now - before[0] < DOUBLE_CLICK_S and before[1:] == (y, x)
        return [Clicked(y, x, double or bool(state & DOUBLE_CLICKS))]

    def paint(self, rows: tuple[Row, ...]) -> None:
        """Draw the rows that changed; curses sends the cells that did."""
        for y, row in enumerate(rows):
            if y >= len(self._shown) or self._shown[y] != row:
                self._put(y, row)
        self._shown = rows
        self._screen.noutrefresh()
        curses.doupdate()

    def _put(self, y: int, row: Row) -> None:
        x = 0
        for text, role in row:
            try:
                self._screen.addstr(y, x, text, self._attributes[role])
            except curses.error:
                pass  # the last cell is drawn, and raises: the cursor has no place to go
            x += texts.width(text)

    def copy(self, text: str) -> None:
        """Put text into the clipboard of the terminal (OSC 52)."""
        encoded = base64.b64encode(text.encode()).decode()
        os.write(sys.stdout.fileno(), f"\x1b]52;c;{encoded}\x07".encode())


def key_name(pressed: int | str) -> str:
    """The name of a key in the key table; "" for one that has none."""
    if isinstance(pressed, int):
        return NAMES.get(pressed, "")
    if pressed in CONTROLS:
        return CONTROLS[pressed]
    if len(pressed) == 1 and 1 <= ord(pressed) <= 26:
        return f"ctrl-{chr(ord(pressed) + 96)}"
    return pressed if pressed.isprintable() or pressed == JOINER else ""
