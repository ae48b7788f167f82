"""One long run that nobody disturbs, for all that are; and no process outlives its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults.plastic import Undisturbed, end_all


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Made once."""
    return Undisturbed(tmp_path_factory.mktemp("undisturbed") / "place")


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Whatever a test started is ended with it."""
    yield
    end_all()
