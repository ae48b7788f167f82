"""Data entries: what comes out for each setting, and what hostile or broken files do not get."""

from __future__ import annotations

import builtins
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from synsim import data
from synsim.data import Entry
from synsim.faults import ConfigError, MissingInput


@dataclass
class Typed:
    type: str
    settings: dict[str, Any] = field(default_factory=dict)


def load(kind: str, directory: Path = Path("."), seed: int = 0, name: str = "d", **settings: Any) -> Entry:
    return data.load(name, Typed(kind, settings), directory=directory, seed=seed)


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


def test_digits_without_scikit_learn_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_sklearn(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real(name, *rest, **more)

    data._digits.cache_clear()
    monkeypatch.setattr(builtins, "__import__", no_sklearn)
    message, path = fault("digits")
    monkeypatch.undo()
    assert "pip install 'synsim[data]'" in message and path == ("type",)
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
    monkeypatch.setattr(data.preflight, "available_memory", lambda: 2 << 20)
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
        "entry = data.load('d', types.SimpleNamespace(type='digits', settings={}), directory='.', seed=0)\n"
        "import jax._src.xla_bridge as bridge\nassert not bridge._backends, bridge._backends\nprint(entry.values.shape)"
    )
    root = str(Path(data.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    assert done.returncode == 0 and done.stdout.strip() == "(1797, 64)", done.stderr
