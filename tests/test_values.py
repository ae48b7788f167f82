"""Values held against annotations: strict, and the same as pydantic finds them in its strict mode."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from synsim import catalogue, describe
from synsim.spec import Phase, RecordSettings, RunSettings, TopSettings
from synsim.values import BadValue, check_plain

VALUES = (
    *(None, True, False, 0, 1, 3, -1, 2.0, 1.5, "a", "", "trial", "SAME", "adam", "train", [], {}, {"a": 1}),
    *([1], [1, 2], [1.0, 2], [1, 2, 3], [1, 2, 3, 4], ["a", "b"], [1, "a"], [True, 1], [None]),
    *([[1, 2], [1, 2]], [[1, 2], [1]], [[1, 2], [1, True]], [[1, 2]]),
)


def annotations() -> dict[str, Any]:
    """All that stand on a setting of the package."""
    tables = [describe.settings(name) for name in catalogue.types()]
    for kind in (*catalogue.SYNAPSE_PARTS, "initialiser", "corruption", "data"):
        tables += [describe.settings_of(each) for each in catalogue.parts(kind).values()]
    tables += [describe.settings_of(keys) for keys in (TopSettings, RunSettings, RecordSettings, Phase)]
    return {str(each.annotation): each.annotation for table in tables for each in table.values() if each.role != "part"}


OTHERS = {str(each): each for each in (list[int], dict[str, float], list[tuple[int, float]], Literal["a", "b"], Any)}


def fitted(annotation: Any, value: Any) -> tuple[bool, Any]:
    try:
        return True, check_plain(annotation, value, {"ge": -math.inf}, "", False)
    except BadValue as bad:
        assert all(wrong.sentence.startswith("must ") for wrong in bad.wrongs)
        return False, None


@pytest.mark.parametrize("name", {**annotations(), **OTHERS})
def test_what_fits_an_annotation_is_what_pydantic_says(name):
    annotation = {**annotations(), **OTHERS}[name]
    adapter = TypeAdapter(annotation)
    for value in VALUES:
        try:
            expected = (True, adapter.validate_json(json.dumps(value), strict=True))
        except ValidationError:
            expected = (False, None)
        found = fitted(annotation, value)
        if (
            isinstance(value, list)
            and not value
            and "tuple[int, ...]" in name
            and "None" not in name
            and "str" not in name
        ):
            continue  # a size has at least one entry
        assert found == expected and type(found[1]) is type(expected[1]), value


def test_what_no_config_can_hold_cannot_be_annotated():
    with pytest.raises(TypeError, match="cannot be annotated"):
        check_plain(complex, 1, {}, "", False)
    assert fitted(Mapping[str, float], {"a": 1})[1] == {"a": 1.0}
