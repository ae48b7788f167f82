"""A run as a Python program opens it: what it left, and pictures of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synsim.reading import Run

if TYPE_CHECKING:
    from synsim.pictures import Picture


class OpenedRun(Run):
    """A run: its settings, records, spikes, trials and states, and `plot`."""

    def plot(
        self,
        *names: str,
        kind: str | None = None,
        window: tuple[float | None, float | None] = (None, None),
        units: str | Sequence[int] | None = None,
        trial: int | None = None,
        phase: str | None = None,
        compare: Run | None = None,
        dark: bool = False,
        width: float = 6.4,
    ) -> Picture:
        """A picture of some records, or of all: a notebook shows it, `.save("v.pdf")` writes it.

        The kind follows from the record where none is given. `window` is in ms of the run, or of the trial or phase
        that is named; `units` are numbers, or written as `index` in a config; `compare` is a second run; `width` is in
        inches. Raises ConfigError for what cannot be drawn, and where matplotlib is not installed.
        """
        from synsim.pictures import draw

        return draw(
            self,
            names,
            kind,
            window=window,
            units=units,
            trial=trial,
            phase=phase,
            compare=compare,
            dark=dark,
            width=width,
        )
