"""The terminal: the only file that knows curses, and only ever called by one thread.

curses has traps: writing the last cell raises though it draws, sizes go stale after a resize, an
unknown TERM is a traceback. Each is dealt with here, where it is met.
"""

import codecs
import curses
import locale
import os
import select
import sys
import termios
import time
from binascii import b2a_base64
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from cortex_cli.board.keyboard import Keyboard, Typed

ESC_S = 0.02  # how long what could be the beginning of a sequence waits for the rest
READ_BYTES = 4096
FALLBACK_TERM = "xterm-256color"
TERMINFO_KEYS = {
    "kcub1": "left", "kcuf1": "right", "kcuu1": "up", "kcud1": "down", "khome": "home",
    "kend": "end", "kpp": "pgup", "knp": "pgdn", "kent": "enter", "kcbt": "backtab",
    "kdch1": "delete",
}  # fmt: skip
PASTES_ON, PASTES_OFF = "\x1b[?2004h", "\x1b[?2004l"
MOUSE_ON, MOUSE_OFF = "\x1b[?1000h\x1b[?1006h", "\x1b[?1006l\x1b[?1000l"
# Beginnings of TERM: such a terminal may show what it does not know.
WITHOUT_OSC = ("linux", "ansi", "dumb", "cons", "wyse", "sun", *(f"vt{n}" for n in range(1, 6)))
SCREEN_BYTES = 700  # screen drops longer ones
CLIPBOARD_BYTES = 75_000  # more than that terminals refuse

# Colours are the eight that every theme defines, on the terminal's own background.
COLOURS = {
    ACCENT: (curses.COLOR_CYAN, curses.A_BOLD),
    GOOD: (curses.COLOR_GREEN, 0),
    WARN: (curses.COLOR_YELLOW, curses.A_BOLD),
    BAD: (curses.COLOR_RED, curses.A_BOLD),
    INFO: (curses.COLOR_CYAN, 0),
    OVER: (curses.COLOR_RED, curses.A_REVERSE | curses.A_BOLD),
    CURSOR: (curses.COLOR_YELLOW, curses.A_REVERSE),  # the hit among hits, which are reversed too
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
    CURSOR: curses.A_REVERSE | curses.A_UNDERLINE,
}
GREY_256 = 244


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
        self._environ = environ
        self._no_color = bool(environ.get("NO_COLOR"))
        self._shown: tuple[Row, ...] = ()
        self._attributes: dict[str, int] = dict(MONOCHROME)
        self._mouse = False
        self._taken = False
        self._input = -1
        self.hung_up = False  # nobody can type any more

    def open(self, mouse: bool = True) -> None:
        """Take the terminal over. Raises curses.error when it cannot be.

        mouse: whether it is ours.
        """
        for name in ("LINES", "COLUMNS"):
            os.environ.pop(name, None)  # exported ones would freeze the size
        self._screen = curses.initscr()
        self._input = _never_waiting(sys.stdin.fileno())
        curses.noecho()
        curses.cbreak()
        _own_control_keys(sys.stdin.fileno())
        curses.def_prog_mode()
        curses.typeahead(-1)  # a frame is not broken off because keys wait: who would end it?
        self._screen.keypad(True)
        self._hide_cursor()
        self._colours()
        # Where there is no mouse, or nothing like xterm, the sequences could be shown as text.
        self._has_mouse = bool(curses.tigetstr("kmous"))
        self._has_osc = not self._environ.get("TERM", "").startswith(WITHOUT_OSC)
        self._mouse = mouse
        self._take()

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._let_go()
        try:
            self._screen.keypad(False)
            curses.endwin()
        except (curses.error, AttributeError):
            pass  # never opened, or hung up: there is nothing left to restore
        if self._input > 2:
            os.close(self._input)
        self._input = -1

    def _take(self) -> None:
        """Ask for pastes as pastes and for the mouse: what curses knows nothing of."""
        self._taken = True
        if self._has_osc:
            self._send(PASTES_ON)
        self.use_mouse(self._mouse)

    def _let_go(self) -> None:
        if self._taken:
            self._taken = False
            self._send((MOUSE_OFF if self._has_mouse else "") + (PASTES_OFF * self._has_osc))

    def _send(self, sequence: str) -> None:
        """Write beside curses, which has written out all of its own whenever this is called."""
        left = sequence.encode()
        try:
            while left:
                left = left[os.write(sys.stdout.fileno(), left) :]
        except OSError:
            self.hung_up = True

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
        self._let_go()
        curses.endwin()

    def enter(self) -> None:
        """Take it over again, and draw everything anew with the next paint."""
        if not curses.isendwin():  # it was stopped without a word: others wrote on our screen
            curses.endwin()
        curses.reset_prog_mode()
        self._screen.keypad(True)  # which curses itself would do with the next key that it reads
        self._hide_cursor()
        self._shown = ()
        self._screen.clearok(True)
        self._take()

    # --- in and out

    def fileno(self) -> int:
        """What to wait on for keys."""
        return self._input

    def keys(self) -> "list[Typed]":
        """What was pressed and has arrived, at most `READ_BYTES` of it."""
        keyboard = self._keyboard
        found = keyboard.feed(self._read(), time.monotonic())
        while keyboard.begun and not self.hung_up:
            if not select.select([self._input], [], [], ESC_S)[0]:
                return found + keyboard.flush()
            found += keyboard.feed(self._read(), time.monotonic())
        return found

    @cached_property
    def _keyboard(self) -> "Keyboard":
        from cortex_cli.board.keyboard import Keyboard  # the first frame can do without

        return Keyboard(_terminfo_keys(), _encoding())

    def _read(self) -> bytes:
        if self._input <= 2 and not select.select([self._input], [], [], 0)[0]:
            return b""
        try:
            got = os.read(self._input, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            got = b""
        self.hung_up = self.hung_up or not got
        return got

    def use_mouse(self, on: bool) -> None:
        """Take the mouse, or leave it to the terminal, which selects text with it."""
        self._mouse = on
        if self._has_mouse:
            self._send(MOUSE_ON if on else MOUSE_OFF)

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

    def copy(self, text: str) -> bool:
        """Put text into the clipboard of the terminal (OSC 52). False: it cannot be asked to."""
        encoded = b2a_base64(text.encode(), newline=False).decode()
        if not self._has_osc or len(encoded) > CLIPBOARD_BYTES:
            return False
        self._send(self._wrapped(f"\x1b]52;c;{encoded}\x07"))
        return True

    def notify(self, text: str, bell: bool, notify: bool) -> None:
        """Ring, and have the terminal show a sentence where it can (OSC 9)."""
        if notify and self._has_osc:
            shown = "".join(char for char in texts.clean(text) if char.isprintable())
            self._send(self._wrapped(f"\x1b]9;{shown}\x07"))
        if bell:
            self._send("\x07")

    def _wrapped(self, sequence: str) -> str:
        """A sequence for the terminal around tmux or screen, which would keep it for themselves."""
        if self._environ.get("TMUX"):
            return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
        if self._environ.get("TERM", "").startswith("screen"):
            pieces = [
                sequence[at : at + SCREEN_BYTES] for at in range(0, len(sequence), SCREEN_BYTES)
            ]
            return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
        return sequence


def _never_waiting(fd: int) -> int:
    """A descriptor of the same terminal that is read without waiting; `fd` when there is none.

    Keys that were there may be gone when they are read: a shell read them while we were stopped.
    O_NONBLOCK on `fd` itself would hold for the shell as well.
    """
    try:
        return os.open(os.ttyname(fd), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return fd  # after su, for one, the terminal is somebody else's


def _own_control_keys(fd: int) -> None:
    """Take ^S, ^Q, ^V and ^O from the terminal: ^S would freeze it. ^C, ^Z and ^\\ stay."""
    modes = termios.tcgetattr(fd)
    modes[0] &= ~termios.IXON
    modes[3] &= ~termios.IEXTEN
    termios.tcsetattr(fd, termios.TCSADRAIN, modes)


def _terminfo_keys() -> dict[bytes, str]:
    """What this terminal's description says that its keys send, where it is a sequence."""
    found = {curses.tigetstr(name): key for name, key in TERMINFO_KEYS.items()}
    return {sent: key for sent, key in found.items() if sent and len(sent) > 2}


def _encoding() -> str:
    """Of what is typed: the locale's, where that is more than ASCII."""
    try:
        name = codecs.lookup(locale.nl_langinfo(locale.CODESET)).name
    except LookupError:
        return "utf-8"
    return "utf-8" if name == "ascii" else name
