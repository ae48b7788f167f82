"""Shipped configs with few steps and trials, for tests that go through all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synsim.config import load

CONFIGS = Path(__file__).parent.parent / "configs"


def configs() -> dict[str, Path]:
    """Every shipped config by its name."""
    return {path.stem: path for path in sorted(CONFIGS.glob("*.yaml"))}


def shortened(config: Path, steps: int = 40) -> dict[str, Any]:
    """A config with at most two trials a phase and so many steps a trial, every default filled in."""
    whole = load(config).resolved()
    whole.pop("sweep", None)
    for part in (whole["run"], *whole.get("phases", ())):
        part.pop("epochs", None)
        part["trials"] = min(part.get("trials") or 2, 2)
        if part.get("steps"):
            part["steps"] = min(part["steps"], steps)
    for record in whole["record"].values():
        record.pop("window", None)
    return whole
