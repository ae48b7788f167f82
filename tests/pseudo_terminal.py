"""A terminal for tests: a command under a pty, and what its screen shows, letter by letter."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"  # of a frame
ON_ITS_TERMINAL = """import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "synsim", *sys.argv[1:]])"""
_PART = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]")


class Display:
    """What a terminal shows: letters in their places. Anything that it does not know is an error."""

    def __init__(self, columns: int, rows: int):
        self.resize(columns, rows)
        self.alternate = self.hidden = False
        self.erased = 0  # how often the whole screen was erased
        self.wrapped = self.colours = 0

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.x = self.y = 0

    def write(self, text: str) -> None:
        for part in _PART.finditer(text):
            if part[3]:
                self._control(part[1], part[2], part[3])
            elif part[0] == "\r":
                self.x = 0
            elif part[0] == "\n":
                self._down()
            else:
                if self.x >= self.columns:
                    self.wrapped += 1
                    self.x = 0
                    self._down()
                self.cells[self.y][self.x] = part[0]
                self.x += 1
        assert not _PART.sub("", text), f"not known: {_PART.sub('', text)!r}"

    def _down(self) -> None:
        if self.y == self.rows - 1:
            self.cells = [*self.cells[1:], [" "] * self.columns]
        else:
            self.y += 1

    def _control(self, private: str, numbers: str, letter: str) -> None:
        if private:
            on = letter == "h"
            if numbers == "1049":
                self.alternate = on
                self.resize(self.columns, self.rows)
            elif numbers == "25":
                self.hidden = not on
            else:
                assert numbers == "2026", numbers
        elif letter == "H":
            assert numbers == ""
            self.x = self.y = 0
        elif letter == "K":
            assert numbers == ""
            self.cells[self.y][self.x :] = [" "] * (self.columns - self.x)
        elif letter == "J":
            if numbers == "2":
                self.erased += 1
                self.cells = [[" "] * self.columns for _ in range(self.rows)]
            else:
                assert numbers == ""
                self.cells[self.y][self.x :] = [" "] * (self.columns - self.x)
                for below in range(self.y + 1, self.rows):
                    self.cells[below] = [" "] * self.columns
        else:
            assert letter == "m", letter
            self.colours += 1

    @property
    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip()


class Terminal:
    """A command on a terminal of so many columns and rows."""

    def __init__(self, words: list[str], columns: int, rows: int = 24, **env: str):
        self.main, other = pty.openpty()
        self.display = Display(columns, rows)
        self.resize(columns, rows)
        dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
        kept = {key: value for key, value in os.environ.items() if key not in dropped}
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_ITS_TERMINAL, *words],
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            env={**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **env},
        )
        os.close(other)
        self.raw, self._held = "", b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.display.resize(columns, rows)

    def read(self, seconds: float = 0.2) -> bool:
        """What comes within some time; False at its end."""
        ready, _, _ = select.select([self.main], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.main, 1 << 16)
        except OSError:  # the other end is closed
            return False
        self._held += data
        whole = self._held.decode(errors="ignore")
        cut = whole.rfind("\x1b") if "\x1b" in whole[-24:] else len(whole)  # a control may not be whole yet
        cut = len(whole) if re.search(r"\x1b\[\??[0-9;]*[A-Za-z]$", whole[cut:]) or whole.endswith("\n") else cut
        try:
            self._held.decode()
        except UnicodeDecodeError:
            return bool(data)
        text, self._held = whole[:cut], whole[cut:].encode()
        self.raw += text
        self.display.write(text)
        return bool(data)

    def until(self, holds: Callable[[str], bool], seconds: float = 60.0) -> str:
        """Read until the screen shows what is waited for, at the end of a frame."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            going = self.read()
            if self.raw.endswith(END) and not self._held and holds(self.display.text):
                return self.display.text
            if not going:
                break
        raise AssertionError(f"not shown:\n{self.display.text}\n{self.raw[-2000:]!r}")

    def leave(self) -> int:
        """Ctrl-C, and all that follows."""
        os.write(self.main, b"\x03")
        return self.ended()

    def ended(self, seconds: float = 60.0) -> int:
        """The exit code, once it has ended."""
        end = time.monotonic() + seconds
        while self.read() and time.monotonic() < end:
            pass
        os.close(self.main)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """For tests that fail before it ends."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def frames(self) -> list[str]:
        """What was written for each frame."""
        return [piece.split(END)[0] for piece in self.raw.split(BEGIN)[1:] if END in piece]
