"""Numbers, times and texts of others as they are written in lines."""

from __future__ import annotations

import math

import pytest

from synsim.wording import apart, columns, count, milliseconds, number, printable, with_unit


@pytest.mark.parametrize(
    ("value", "written"),
    [(-0.0, "0"), (1 / 3, "0.3333"), (999.96, "1000"), (12_345.6, "12,346"), (-347_399, "-347,399"),
     (2.5e7, "2.5e+07"), (1.7e-5, "1.7e-05"), (math.nan, "nan"), (None, "nan"), (math.inf, "inf")],
)  # fmt: skip
def test_numbers(value, written):
    assert number(value) == written


def test_numbers_that_are_near_each_other_are_told_apart():
    assert apart([1.0, 2.0]) == ["1", "2"]
    assert apart([998.31, 998.32, 998.33]) == ["998.31", "998.32", "998.33"]
    near = [1.0, math.nextafter(1.0, 2), 2.0]
    assert len(set(apart(near))) == 3


def test_counts_times_and_units():
    assert count(1, "step") == "1 step" and count(2000, "step") == "2,000 steps" and count(0, "step") == "0 steps"
    assert milliseconds(9999.5) == "9999.5 ms" and milliseconds(347_400) == "347.4 s"
    assert with_unit("3", "mV") == "3 mV" and with_unit("3", "") == "3"


def test_texts_of_others_control_nothing():
    assert printable("a\x1b[2J\nb\u202e") == "a\ufffd[2J\ufffdb\ufffd" and printable("µ café") == "µ café"


def test_columns_stand_below_each_other():
    assert columns([["a", "b"], ["100", "2"]], "  ") == ["    a  b", "  100  2"]
    assert columns([]) == []
