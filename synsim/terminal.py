"""The terminal of a command: what is said on standard error, signals, and what goes wrong as lines and exit codes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import termios
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from synsim.loop import Outcome, Progress
    from synsim.plan import RunPlan

_stopping: list[int] = []  # signals that arrived

END_MARGIN = 60.0  # seconds before the end of a Slurm job at which its run stops


def time_to_stop() -> bool:
    """Whether a signal has come, or the end of the Slurm job is near."""
    if not _stopping:
        end = os.environ.get("SLURM_JOB_END_TIME", "")
        if end.isdigit() and time.time() > int(end) - END_MARGIN:
            tell("the job's time is nearly over: stopping after this chunk")
            _stopping.append(0)
    return bool(_stopping)


def told_by_hand() -> bool:
    """Whether what asked to stop was typed at a terminal, or the end of one."""
    return signal.SIGINT in _stopping or signal.SIGHUP in _stopping


def catch_signals() -> None:
    """TERM, INT, HUP, USR1 and USR2 ask the run to end at the next chunk's border; a second INT ends it at once.

    A thread waits for them: a handler in Python runs only when the main thread comes back from what it is in, and
    compiling may take minutes.
    """
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, lambda *_: None)
    threading.Thread(target=_note_signals, args=(reads,), daemon=True).start()
    # a job script may block them until here, so that none comes while Python starts
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2))


def _note_signals(reads: int) -> None:
    while True:
        for number in os.read(reads, 64):
            if number == signal.SIGINT and number in _stopping:
                show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
                tell(f"{show_cursor}SIGINT once more: ended at once; what was saved is safe, --resume goes on with it")
                os._exit(75)
            if not _stopping:
                tell(f"{signal.Signals(number).name}: stopping after this chunk")
            _stopping.append(number)


def tell(words: str) -> None:
    """A line on standard error. No run ends because the terminal was closed, or the reader of a pipe is gone."""
    try:
        print(words, file=sys.stderr, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


class Page:
    """Lines on standard output, shown again and again: in one place on a terminal, elsewhere when they change."""

    def __init__(self) -> None:
        self._shown: list[str] | None = None

    def show(self, lines: list[str]) -> None:
        if lines == self._shown:
            return
        if sys.stdout.isatty():
            width = shutil.get_terminal_size().columns
            cut = [line if len(line) < width else line[: max(1, width - 2)] + "…" for line in lines]
            up = f"\x1b[{len(self._shown)}A\x1b[J" if self._shown else ""
            print(up + "\n".join(cut), flush=True)
        else:
            print("\n".join([*([""] if self._shown else []), *lines]), flush=True)
        self._shown = lines

    def wait(self) -> None:
        """Until it may look different."""
        time.sleep(2.0)


STYLES = {"good": "32", "bad": "1;31", "bar": "36", "faint": "2"}


class Screen:
    """A page that is drawn over itself while something goes on, on a screen of its own where there is a terminal.

    Each line is written over the one before, and what it leaves is erased: nothing is blank in between. On the way out
    the terminal is as it was before, with the last page on it. Without a terminal nothing is drawn at all.
    """

    def __init__(self) -> None:
        self.live = sys.stdout.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
        self._last: list[Any] = []
        self._size = (0, 0)
        self._handlers: dict[int, Any] = {}
        self._echo: list[Any] = []
        self.left = False  # whether the user asked to: what fails from then on may be a library that was interrupted

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        found = shutil.get_terminal_size()
        return max(8, found.columns), max(2, found.lines)

    def __enter__(self) -> Screen:
        if self.live:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, self._leave)
            self._silence()
            _put("\x1b[?1049h\x1b[?25l")
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            _put("\x1b[?25h\x1b[?1049l" + "".join(f"{self._styled(line)}\n" for line in self._last))
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            if self._echo:
                termios.tcsetattr(sys.stdin, termios.TCSAFLUSH, self._echo)

    def _leave(self, *_: object) -> None:
        self.left = True
        raise KeyboardInterrupt

    def _silence(self) -> None:
        """Keys that are pressed leave no letters on the page."""
        with suppress(termios.error, OSError, ValueError):  # standard input may be no terminal
            self._echo = termios.tcgetattr(sys.stdin)
            quiet = [*self._echo]
            quiet[3] &= ~termios.ECHO
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, quiet)

    def show(self, lines: list[Any]) -> None:
        """The page, as lines of (text, style) pieces that fit the terminal."""
        self._last = lines
        if self.live:
            fresh = "\x1b[2J" if self.size != self._size else ""  # what was drawn for another width is in the way
            self._size = self.size
            body = "\n".join(f"{self._styled(line)}\x1b[K" for line in lines)
            # both ends of one change, which terminals that know them show at once
            _put(f"\x1b[?2026h{fresh}\x1b[H{body}\x1b[J\x1b[?2026l")

    def wait(self, seconds: float) -> None:
        """Some time, or until the terminal is of another size."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and (not self.live or self.size == self._size):
            time.sleep(min(0.1, left))

    @staticmethod
    def _styled(line: Any) -> str:
        colours = coloured(sys.stdout)
        return "".join(f"\x1b[{STYLES[how]}m{text}\x1b[0m" if text and how and colours else text for text, how in line)


def _put(words: str) -> None:
    sys.stdout.write(words)
    sys.stdout.flush()


def clock() -> float:
    """Seconds since some moment."""
    return time.monotonic()


class Teller:
    """Says how a run is going: a bar where standard error is a terminal, plain lines elsewhere."""

    def __init__(self, quiet: bool):
        self.quiet = quiet
        self.bar: Any = None
        self.task: Any = None
        self.said = time.monotonic()
        self.lines: list[str] = []

    def note(self, words: str) -> None:
        if not self.quiet:
            tell(words)

    def started(self, it: RunPlan, directory: Path, step: int) -> None:
        from synsim.doubts import doubts

        if step == 0:
            say(it.spec.render(doubts(it), "warning"))
        if self.quiet:
            return
        units = sum(1 for _ in it.spec.components)
        tell(f"{it.spec.name}: {units} components, {it.trials:,} trials, {it.steps:,} steps, into {directory}")
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[said]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self.task = self.bar.add_task("compiling", total=it.steps, completed=step, said="")
            self.bar.start()

    def progress(self, now: Progress) -> None:
        if self.quiet:
            return
        scalars = "  ".join(f"{name} {value:.4g}" for name, value in list(now.scalars.items())[:3])
        said = f"{now.rate:,.0f} steps/s  {_biological(now.time)}  {scalars}".rstrip()
        if self.bar is not None:
            self.bar.update(self.task, completed=now.step, description=now.phase, said=said)
        elif time.monotonic() - self.said >= 5.0:
            self.said = time.monotonic()
            left = _duration((now.steps - now.step) / max(1e-9, now.rate))
            tell(f"{now.phase}: step {now.step:,} of {now.steps:,} ({now.step / now.steps:.0%})  {said}  {left} left")

    def finished(self, outcome: Outcome) -> None:
        self.close()
        if self.quiet:
            return
        for phase, readouts in outcome.readouts.items():
            for path, value in readouts.items():
                shown = f"{float(value):.6g}" if value.size == 1 else " ".join(f"{v:.4g}" for v in value.ravel()[:10])
                self.lines.append(f"{phase + ': ' if len(outcome.readouts) > 1 else ''}{path} = {shown}")
        self.lines.append(f"took {_duration(outcome.seconds)}, of which compiling {_duration(outcome.compile_seconds)}")

    def left(self, path: Path) -> None:
        if not self.quiet:
            for line in self.lines:
                tell(line)
            print(path, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            with suppress(OSError):
                self.bar.stop()
            self.bar = None


def _biological(ms: float) -> str:
    return f"{ms:.4g} ms" if ms < 1e3 else f"{ms / 1e3:,.4g} s"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(round(seconds)), 60)
    return f"{minutes} min {seconds:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def errors(debug: bool) -> Iterator[dict[str, Any]]:
    """Turns what goes wrong into one line (one a fault) and the exit code that fits; `--debug` shows it whole."""
    from synsim.faults import ConfigError, SynsimError, render

    context: dict[str, Any] = {}
    try:
        yield context
    except ConfigError as error:
        if debug:
            raise
        spec = context.get("spec")
        say(spec.render(error) if spec is not None else render(error.faults))
        raise typer.Exit(error.exit_code) from None
    except SynsimError as error:
        if debug:
            raise
        say([f"synsim: {error}"])
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
    except (typer.Exit, KeyboardInterrupt):
        raise
    except Exception as error:
        if debug:
            raise
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            say(["synsim: the memory ran out before anything was computed; use fewer units, or read less data"])
            raise typer.Exit(66) from None
        say(
            [
                f"synsim: this is a bug: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} "
                "(run again with --debug for the traceback)"
            ]
        )
        raise typer.Exit(70) from None


def say(lines: Iterable[str]) -> None:
    """Lines on standard error, after what was printed; the words error and warning coloured where that is wanted."""
    sys.stdout.flush()
    colours = coloured()
    for line in lines:
        tell(_KIND.sub(lambda found: f"\x1b[{_CODES[found[0]]}m{found[0]}\x1b[0m", line, count=1) if colours else line)


_CODES = {"error:": "1;31", "warning:": "1;33"}
_KIND = re.compile(r"(?<=: )(error|warning):|^warning:")


def coloured(stream: Any = None) -> bool:
    """Whether standard error, or another stream, is to have colours: a terminal has, FORCE_COLOR gives them to a pipe,
    and NO_COLOR, where it is not empty, takes them away from both."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream or sys.stderr).isatty()
