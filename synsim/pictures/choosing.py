"""Which kind of picture shows a record best."""

from __future__ import annotations

from synsim.faults import ConfigError, listing, suggest
from synsim.pictures.subject import ENERGIES, Subject, axes_of, from_image, is_kernel, is_matrix

KINDS = (
    "raster",
    "trace",
    "weights",
    "histogram",
    "energy",
    "rate",
    "receptive-fields",
    "spectrum",
    "phase",
)


def chosen(subject: Subject) -> str:
    """Spikes: a raster. Weights from an image: receptive fields; between units: a matrix. Energies: per trial. All
    else, also a number a step: a trace."""
    if subject.spikes is not None:
        return "raster"
    record = subject.record
    if record is not None and subject.name.partition(".")[2] in ENERGIES and not unit_axes(subject):
        return "energy"
    weights = axes_of(subject)
    if record is not None and ("reduce" in record.attrs or len(record.axes) < 2):
        return "trace"
    if weights is not None and (is_matrix(weights[0]) or is_kernel(weights[0])):
        return "weights" if from_image(subject) is None else "receptive-fields"
    if record is None:
        return "histogram"
    return "trace"


def unit_axes(subject: Subject) -> list[str]:
    """Axes of a record other than that of the batch."""
    return [] if subject.record is None else [name for name, _ in subject.record.axes if name != "row"]


def check_kind(kind: str) -> str:
    """A kind as a user writes it, or a ConfigError that lists them."""
    if kind not in KINDS:
        raise ConfigError(
            f"--kind {kind:.40}: there is no such kind.{suggest(kind, KINDS)} There are {listing(KINDS)}."
        )
    return kind
