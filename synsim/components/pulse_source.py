"""Source: on for a while."""

from __future__ import annotations

from typing import ClassVar

from synsim.component import Component, Now, Size, View, param, state, static
from synsim.later import jax, jnp


class PulseSource(Component):
    """A rectangular pulse in each trial, once or again and again.

        outputs = amplitude   where start <= t < stop, else 0
        with a period         where t >= start and (t - start) mod period < stop - start, else 0

    t is trial time; `duration` says stop - start instead of stop; with neither the pulse lasts to the end of the
    trial. Edges fall on the nearest step. Shape: outputs (B, *n_units).

    Source: none; a current step, or a train of them.
    """

    family: ClassVar[str] = "source"

    n_units: Size = static("Number of units, or their shape.")
    amplitude: float = param("What it puts out while on.", default=1.0, per="unit")
    start: float = param("When it goes on, in the trial.", "ms", default=0.0, per="unit")
    stop: float | None = param("When it goes off, in the trial.", "ms", default=None, per="unit")
    duration: float | None = param("How long it stays on, instead of stop.", "ms", default=None, gt=0, per="unit")
    period: float | None = param("Time from one pulse to the next.", "ms", default=None, gt=0, per="unit")

    outputs = state("The pulse.")

    def problems(self) -> list[tuple[str, str]]:
        """Settings that do not go together, each with a sentence."""
        if self.stop is not None and self.duration is not None:
            return [("duration", "is written together with stop; keep one of them")]
        if self.period is not None and self.stop is None and self.duration is None:
            return [("period", "needs a duration or a stop: how long each pulse lasts")]
        return []

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        wrong = self.problems()
        if wrong:
            raise ValueError("; ".join(f"{setting}: {sentence}" for setting, sentence in wrong))
        since = now.t - self.start + 0.5 * now.dt  # the middle of the step: rounding in t moves no edge
        on = since >= 0.0
        width = self.duration if self.stop is None else self.stop - self.start
        if width is not None:
            on = on & ((since if self.period is None else jnp.mod(since, self.period)) < width)
        pulse = jnp.where(on, self.amplitude, 0.0)
        return dict(outputs=jnp.broadcast_to(pulse, x.outputs.shape).astype(x.outputs.dtype))
