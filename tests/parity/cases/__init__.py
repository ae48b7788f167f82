"""The cases of every family, one file each: a module here that has a list `CASES` is found."""

from __future__ import annotations

import importlib
import os
import pkgutil

from parity.case import SCALES, Case


def _found() -> dict[str, Case]:
    size = SCALES.index(os.environ.get("SYNSIM_TEST_SCALE", "quick"))
    cases: dict[str, Case] = {}
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        for case in importlib.import_module(f"{__name__}.{module}").CASES:
            if case.name in cases:
                raise ValueError(f"two cases are called {case.name}")
            if SCALES.index(case.scale) <= size:
                cases[case.name] = case
    if size == 0:  # the reference takes more than a second for each: one of every type
        return {case.name: case for case in {case.component: case for case in reversed(cases.values())}.values()}
    return cases


CASES = _found()
