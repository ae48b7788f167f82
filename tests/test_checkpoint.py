"""A checkpoint comes back as it was, the same content gives the same bytes, and anything else is refused."""

from __future__ import annotations

import io
import os
import zipfile

import numpy as np
import pytest

from synsim.checkpoint import DRIFT, Checkpoint, decode, encode
from synsim.files import opened_seal, publish_sealed

RNG = np.random.default_rng(3)
POINT = Checkpoint(
    step=1200,
    phase=1,
    trial=4,
    k=7,
    state={
        "file": {"about": RNG.normal(size=(3, 4)).astype(np.float32), "v": np.float32(2.5)},
        "z": {"s": np.zeros((2, 0), np.float32), "key": np.arange(4, dtype=np.uint32)},
    },
    held={"z.j": RNG.normal(size=(3, 2))},
    readouts={"train": {"accuracy.agreement": np.float32(0.9)}},
    chunk_steps={"train": 512},
    fingerprint={"jax": "0.10.2", "numbers": "abc", "cpu_features": "x" * 90},
    seconds=12.5,
    resumes=2,
)


def test_it_comes_back_as_it_was():
    again = decode(encode(POINT))
    for name in ("step", "phase", "trial", "k", "chunk_steps", "fingerprint", "seconds", "resumes"):
        assert getattr(again, name) == getattr(POINT, name), name
    for mine, other in ((POINT.state, again.state), (POINT.readouts, again.readouts)):
        assert {a: set(b) for a, b in mine.items()} == {a: set(b) for a, b in other.items()}
        for outer, inner in mine.items():
            for name, value in inner.items():
                assert other[outer][name].dtype == value.dtype
                np.testing.assert_array_equal(other[outer][name], value)
    np.testing.assert_array_equal(again.held["z.j"], POINT.held["z.j"])


def test_the_same_content_is_the_same_bytes():
    assert encode(POINT) == encode(decode(encode(POINT)))


def test_any_flipped_bit_and_any_cut_is_noticed(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    size = publish_sealed(folder, "ck.npz", encode(POINT))
    os.close(folder)
    data = (tmp_path / "ck.npz").read_bytes()
    assert len(data) == size
    with np.load(tmp_path / "ck.npz") as held:  # a seal is in no reader's way
        assert len(held.files) == 7
    assert opened_seal(data) == encode(POINT)
    for at in RNG.integers(0, len(data) * 8, 300):
        spoilt = bytearray(data)
        spoilt[at // 8] ^= 1 << (at % 8)
        with pytest.raises(ValueError):
            opened_seal(bytes(spoilt))
    for length in (0, 10, 79, 80, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError):
            opened_seal(data[:length])


def test_what_is_no_checkpoint_is_a_value_error():
    other = io.BytesIO()
    np.savez(other, a=np.arange(3))
    pickled = io.BytesIO()
    np.savez(pickled, about=np.array([{}], dtype=object))
    with zipfile.ZipFile(empty := io.BytesIO(), "w"):
        pass
    for data in (b"", b"PK", encode(POINT)[:200], other.getvalue(), pickled.getvalue(), empty.getvalue()):
        with pytest.raises(ValueError, match="not a checkpoint"):
            decode(data)


def test_drift_is_named():
    now = dict.fromkeys(DRIFT, "") | {"jax": "0.10.2", "cpu_features": "x" * 90}
    assert POINT.drift(now | {"numbers": "another"}) == []  # the config and its files are judged apart
    said = POINT.drift(now | {"jax": "0.11.0", "cpu_features": "y"})
    assert len(said) == 2 and "jax (0.10.2 then, 0.11.0 now)" in said[0] and "CPU" in said[1]
