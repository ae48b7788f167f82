"""Folders and files made to do harm: one clear line, or the right numbers; nothing outside is touched, no code runs.

Data entries that lie stand in `test_data`, links in the place of a run's own files in `test_store`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import choose

import synsim as package
from faults.command import NOISY, every_chunk, synsim
from faults.looking import complete, inspected
from faults.test_damage import runs  # noqa: F401
from synsim import api, loop, sandbox
from synsim.blocks import MARK
from synsim.checkpoint import decode, encode
from synsim.faults import ConfigError, StoreError, SynsimError, render
from synsim.files import SEAL_BYTES, opened_seal, publish_in_blocks, publish_sealed
from synsim.foreign import read_array
from synsim.reading import digest_in
from synsim.saving import Saving

SECRET = "what nobody may see"


class Boom:
    """A pickle that would leave a mark."""

    def __reduce__(self) -> tuple:
        return os.mkdir, ("pwned",)


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder beside the runs in which nothing changes, and a working folder in which nothing appears."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_text(SECRET * 99)
    with h5py.File(folder / "secret.h5", "w") as file:
        file["data"] = np.full((240, 17), 666.0, np.float32)
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    yield folder
    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()} == before
    assert not list(here.iterdir())


def sealed(path: Path, data: bytes, in_blocks: bool = False) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    if in_blocks:
        publish_in_blocks(folder, path.name, [memoryview(data)])
    else:
        publish_sealed(folder, path.name, data)
    os.close(folder)


def changed(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Change a sealed HDF5 file as somebody would who knows how to seal it again."""
    whole = path.read_bytes()
    data = io.BytesIO(whole[:-SEAL_BYTES])
    with h5py.File(data, "r+", libver="v110") as file:
        change(file)
    sealed(path, data.getvalue(), whole[-SEAL_BYTES:].startswith(MARK))


def refused(do: Callable[[], Any]) -> str:
    """The one line of an error of ours; whatever else it raises is a bug."""
    with pytest.raises(SynsimError) as caught:
        do()
    assert "\n" not in str(caught.value) and SECRET not in str(caught.value)
    return str(caught.value)


# ----------------------------------------------------------------------------------------------------- result files


def replaced(path: str, make: Callable[[h5py.File], None]) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]
        make(file)

    return change


def external_link(file: h5py.File) -> None:
    file["report/z.v/data"] = h5py.ExternalLink("../../outside/secret.h5", "/data")


def external_storage(file: h5py.File) -> None:
    made = file.create_dataset("report/z.v/data", (240, 17), "f4", external=[("../../outside/secret.txt", 0, 16320)])
    made.attrs["units"], made.attrs["long_name"] = "mV", "v"


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((240, 17), "f4")
    layout[:] = h5py.VirtualSource("../../outside/secret.h5", "data", (240, 17))
    file.create_virtual_dataset("report/z.v/data", layout)


def liar(file: h5py.File) -> None:
    file.create_dataset("report/z.v/data", (10**12, 17), "f4", chunks=(64, 17), maxshape=(None, 17))[:64] = 1.0


def packed_liar(file: h5py.File) -> None:
    how = {"chunks": (64, 17), "maxshape": (None, 17), "compression": "gzip"}
    file.create_dataset("report/z.v/data", (10**12, 17), "f4", **how)[:64] = 1.0


def configured(text: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["config/resolved"]
        file["config/resolved"] = text
        file["config/resolved"].attrs["sha256"] = hashlib.sha256(text.encode()).hexdigest()

    return change


def a_group(file: h5py.File) -> None:
    file.create_group("report/z.v/data/data")


def circle(file: h5py.File) -> None:
    file["trials/trials"] = file["trials"]


HARMS: dict[str, tuple[Callable[[h5py.File], None], str | None]] = {
    "external link": (replaced("report/z.v/data", external_link), "leads into another file"),
    "external storage": (replaced("report/z.v/data", external_storage), "stored in other files"),
    "virtual": (replaced("report/z.v/data", virtual), "stored in other files"),
    "liar": (replaced("report/z.v/data", liar), "holds fewer"),
    "packed liar": (replaced("report/z.v/data", packed_liar), "holds fewer"),
    "group for data": (replaced("report/z.v/data", a_group), ""),
    "circle of groups": (circle, ""),
    "no text of the config": (replaced("config/yaml", lambda file: None), None),
    "no config": (replaced("config/resolved", lambda file: None), ""),
    "config is a number": (replaced("config/resolved", lambda file: file.__setitem__("config/resolved", 3)), ""),
    "dt is a text": (lambda file: file.attrs.__setitem__("dt", "soon"), ""),
    "dt is an array": (lambda file: file.attrs.__setitem__("dt", np.ones(5)), ""),
    "batch is none": (lambda file: file.attrs.__setitem__("batch", h5py.Empty("f4")), ""),
    "no units": (lambda file: file["report/z.v/data"].attrs.__delitem__("units"), ""),
    "trials of text": (replaced("trials/phase", lambda file: file.__setitem__("trials/phase", ["a", "b"])), ""),
    "no trials": (replaced("trials", lambda file: None), ""),
    "steps without end": (lambda file: file.attrs.__setitem__("steps", 2**63 - 1), None),
    "a name that steers": (lambda file: file.attrs.__setitem__("name", "\x1b]0;pwned\x07\x1b[2J"), "cannot name a run"),
    "letters that steer": (lambda file: file.attrs.__setitem__("device", "\x1b]0;pwned\x07\x1b[2J"), None),
    "dt is nothing": (lambda file: file.attrs.__setitem__("dt", 0.0), ""),
    "dt is no number": (lambda file: file.attrs.__setitem__("dt", np.nan), ""),
    "config is a list": (configured("[1, 2]"), ""),
    "components are numbers": (configured('{"components": {"z": 3}, "record": {}}'), None),
    "records are text": (configured('{"components": {}, "record": "all"}'), ""),
    "phases are numbers": (configured('{"components": {}, "record": {}, "phases": [1, 2]}'), ""),
    "a deep config": (configured("[" * 100_000 + "]" * 100_000), ""),
    "an endless window": (configured('{"record": {"x.outputs": {"window": [0, 1e300]}}}'), ""),
    "trials out of order": (lambda file: file["trials/start"].__setitem__(3, -1e300), None),
    "phases without a name": (lambda file: file["trials/phase"].__setitem__(3, 2**31 - 1), None),
    "spikes out of order": (lambda file: file["spikes/x/timestamps"].__setitem__(5, 1e9), None),
    "spikes at no time": (lambda file: file["spikes/x/timestamps"].__setitem__(5, np.nan), ""),
    "spikes of endless units": (lambda file: file["spikes/x"].attrs.__setitem__("units", 2**62), None),
    "spikes of no units": (lambda file: file["spikes/x"].attrs.__setitem__("units", -1), None),
    "spikes of odd trials": (lambda file: file["spikes/x/trial"].__setitem__(5, -7), None),
    "an endless batch": (lambda file: file["spikes/x"].attrs.__setitem__("batch", 2**62), None),
    "no interval": (lambda file: file["report/z.v"].attrs.__setitem__("interval", 0.0), None),
    "infinite times": (lambda file: file["report/z.v/time"].__setitem__(slice(None), np.inf), None),
    "a new line": (lambda file: file["report/z.v/data"].attrs.__setitem__("long_name", "a\nb\x1b[31m"), None),
}


@pytest.mark.parametrize("name", HARMS)
def test_result_files(name, runs, canary, tmp_path):  # noqa: F811
    make, words = HARMS[name]
    folder = shutil.copytree(runs[1], tmp_path / "runs" / "noisy")
    changed(folder / "noisy.h5", make)
    for path in (folder / "noisy.h5", folder):
        if words is None:
            with package.open(path) as run:
                told = inspected(run)
            assert all(line.isprintable() for line in told)
        else:
            assert words in refused(lambda path=path: inspected(api.open(path)))
    assert not package.verify(folder).damaged  # its seal is good
    assert package.status(folder)["state"] == "done"
    try:
        package.run(folder, resume=True).close()
    except ConfigError as error:  # a line for each fault
        assert all(line.isprintable() for line in render(error.faults))
    except SynsimError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["external link", "external storage", "virtual", "liar"])
def test_heads_of_runs_that_were_stopped(name, runs, canary, tmp_path):  # noqa: F811
    folder = shutil.copytree(runs[0], tmp_path / "runs" / "noisy")
    changed(folder / "seg" / "head.h5", HARMS[name][0])
    assert HARMS[name][1] in refused(lambda: api.open(folder))
    assert HARMS[name][1] in refused(lambda: package.run(folder, resume=True))
    assert not (folder / "noisy.h5").exists()


@pytest.mark.parametrize("name", ["external storage", "virtual", "liar", "external link"])
def test_segments(name, runs, canary, tmp_path):  # noqa: F811
    folder = shutil.copytree(runs[0], tmp_path / "runs" / "noisy")
    segment = sorted((folder / "seg").glob("seg-*.h5"))[1]
    changed(segment, HARMS[name][0])
    if name == "external link":  # which is not followed, and so rows are missing
        assert "of 240 rows" in refused(lambda: package.run(folder, resume=True))
    else:
        for do in (lambda: inspected(api.open(folder)), lambda: package.run(folder, resume=True)):
            said = refused(do)
            assert segment.name in said and HARMS[name][1] in said
    assert not (folder / "noisy.h5").exists()


# ------------------------------------------------------------------------------------------------------ checkpoints


def npz(compressed: bool = False, **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, data in members.items():
            made.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def a_lie() -> bytes:
    text = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    return b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + text.ljust(117) + b"\n" + bytes(64)


def about(**changes: Any) -> Callable[[bytes], bytes]:
    def make(data: bytes) -> bytes:
        with np.load(io.BytesIO(data)) as held:
            arrays = dict(held)
        told = json.loads(arrays["about"].tobytes()) | changes
        return npz(**{**arrays, "about": np.frombuffer(json.dumps(told).encode(), np.uint8)})

    return make


def other(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda data: encode(replace(decode(data), **changes))


def other_state(change: Callable[[dict], Any]) -> Callable[[bytes], bytes]:
    def make(data: bytes) -> bytes:
        point = decode(data)
        state = {name: dict(values) for name, values in point.state.items()}
        change(state)
        return encode(replace(point, state=state))

    return make


POINTS: dict[str, Callable[[bytes], bytes]] = {
    "pickles": lambda data: npz(about=np.array([Boom()], object)),
    "a pickle": lambda data: pickle.dumps(Boom()),
    "pickles for state": lambda data: archive(about=b"\x80\x04N."),
    "a bomb": lambda data: npz(compressed=True, about=np.zeros(1 << 24, np.uint8)),
    "a shape that lies": lambda data: archive(about=a_lie()),
    "nothing": lambda data: b"",
    "a list": lambda data: npz(about=np.frombuffer(b"[1, 2]", np.uint8)),
    "deep": lambda data: npz(about=np.frombuffer(b"[" * 200_000, np.uint8)),
    "names of nothing": about(names=["state/z/v"] * 99),
    "names of numbers": about(names=list(range(9))),
    "no names": about(names=7),
    "another step": about(step=60),
    "no step": about(step=None),
    "before the start": about(step=-120),
    "a later phase": other(phase=1),
    "a later trial": other(trial=99),
    "a later step of a trial": other(k=20, trial=5),
    "chunks of nothing": about(chunk_steps=3),
    "seconds of nothing": about(seconds="inf"),
    "more": about(pwned=1),
    "prints": about(fingerprint=[1]),
    "no state": other(state={}),
    "a shorter state": other_state(lambda state: state["z"].update(v=np.zeros(3, np.float32))),
    "a state of texts": other_state(lambda state: state["z"].update(v=np.array(["a"]))),
    "a state of more": other_state(lambda state: state["z"].update(more=np.zeros(3, np.float32))),
    "a component more": other_state(lambda state: state.update(q={"v": np.zeros(3, np.float32)})),
    "a state of doubles": other_state(lambda state: state["z"].update(v=np.asarray(state["z"]["v"], np.float64))),
    "inlets": other(held={"z.j": np.zeros(3)}),
}


@pytest.mark.parametrize("name", POINTS)
def test_checkpoints(name, runs, canary, tmp_path, monkeypatch):  # noqa: F811
    """Each is sealed as ours are. Nothing in it is run, and the older one is used."""
    monkeypatch.setattr(loop, "simulate", loop.simulate)
    monkeypatch.setattr(Saving, "_patience", Saving._patience)
    every_chunk(40)
    folder = shutil.copytree(runs[0], tmp_path / "runs" / "noisy")
    older, newer = sorted((folder / "ckpt").iterdir())
    sealed(newer, POINTS[name](opened_seal(newer.read_bytes())))
    package.verify(folder)
    notes: list[str] = []
    if choose(list(POINTS).index(name) % 9 == 0, True):
        package.run(folder, resume=True, note=notes.append).close()
        assert "cannot be used: " in notes[0] and "\n" not in notes[0] and f"step {int(older.stem[3:])}" in notes[-1]
        complete(folder, runs[1] / "noisy.h5")


def test_a_checkpoint_with_chunks_without_end(runs, canary, tmp_path):  # noqa: F811
    folder = shutil.copytree(runs[0], tmp_path / "runs" / "noisy")
    newer = sorted((folder / "ckpt").iterdir())[-1]
    for length in (10**15, 0)[: choose(1, 2)]:
        sealed(newer, other(chunk_steps={"run": length})(opened_seal(newer.read_bytes())))
        again = shutil.copytree(folder, tmp_path / str(length) / "noisy")
        package.run(again, resume=True).close()
        complete(again, runs[1] / "noisy.h5")


# ----------------------------------------------------------------------------------------------- status, odd entries


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../outside/secret"},
        {"name": "/etc/passwd"},
        {"name": ["noisy"]},
        {"name": None},
        {"steps_saved": "many"},
        {"steps_saved": True},
        {"steps": 1.5},
        {"state": 3},
        {"folder": ["a"]},
        {"reason": {"a": 1}},
        {"started": 5},
    ],
)
def test_status(changes, runs, canary, tmp_path):  # noqa: F811
    folder = shutil.copytree(runs[0], tmp_path / "runs" / "noisy")
    told = json.loads((folder / "status.json").read_text()) | changes
    (folder / "status.json").write_text(json.dumps(told | {"sha256": digest_in(told)}))
    assert "status.json is damaged" in refused(lambda: package.status(folder))
    refused(lambda: api.open(folder))
    assert [each.path.name for each in package.verify(folder).damaged] == ["status.json"]


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\xfe", bytes(2 << 20), b"{}", b'{"state": "done"}', b"nul"])
def test_status_that_is_none(content, runs, canary, tmp_path):  # noqa: F811
    folder = shutil.copytree(runs[0], tmp_path / "runs" / "noisy")
    (folder / "status.json").write_bytes(content)
    assert "status.json" in refused(lambda: package.status(folder))
    assert [each.path.name for each in package.verify(folder).damaged] == ["status.json"]


def test_words_of_a_status_do_not_steer_the_terminal(runs, canary, tmp_path):  # noqa: F811
    folder = shutil.copytree(runs[0], tmp_path / "runs" / "noisy")
    told = json.loads((folder / "status.json").read_text()) | {
        "reason": "\x1b]0;pwned\x07\n\x1b[2Jdone",
        "host": "\x9b",
    }
    (folder / "status.json").write_text(json.dumps(told | {"sha256": digest_in(told)}))
    for words in (("status",), ("inspect",))[: choose(1, 2)]:
        shown = synsim(*words, folder, cwd=tmp_path)
        assert shown.code in (0, 3) and all(line.isprintable() for line in shown.out.splitlines()), shown


ENTRIES = ["status.json", "config.yaml", "lock", "seg", "ckpt", "seg/head.h5", "seg/last", "ckpt/last", "noisy.h5"]


ODD = [(entry, kind) for entry in ENTRIES for kind in ("link", "link to nothing", "pipe", "folder", "file")]


@pytest.mark.parametrize(("entry", "kind"), ODD[:: choose(4, 1)])
def test_something_else_in_the_place_of_a_file(entry, kind, runs, canary, tmp_path):  # noqa: F811
    """Nothing waits for a pipe, nothing is written or removed where a link leads, and what is said is one line."""
    folder = shutil.copytree(runs[0], tmp_path / "runs" / "noisy")
    path = folder / entry if not entry.endswith("last") else sorted((folder / entry).parent.iterdir())[-1]
    was_folder = path.is_dir()
    kept = path.read_bytes() if path.is_file() else b""
    if path.exists():
        shutil.rmtree(path) if was_folder else path.unlink()
    if kind == "link":
        path.symlink_to(canary if was_folder else canary / "secret.txt")
    elif kind == "link to nothing":
        path.symlink_to(tmp_path / "here" / "new")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        (path / "mine").mkdir(parents=True)
    else:
        path.write_bytes(kept[:7])
    for do in (package.status, package.verify, lambda folder: inspected(api.open(folder))):
        try:
            do(folder)
        except SynsimError as error:
            assert "\n" not in str(error)
    inside = sorted(str(each) for each in folder.rglob("mine"))
    for overwrite in (False, True):
        try:
            spec = package.load(runs[0].parents[1] / "noisy.yaml")
            package.run(spec, out=folder.parent, resume=not overwrite, overwrite=overwrite).close()
            with package.open(folder) as run:
                assert run.state == "done" and run.steps == 240
        except SynsimError as error:
            assert "\n" not in str(error)
    assert sorted(str(each) for each in folder.rglob("mine")) == inside


# ---------------------------------------------------------------------------------------------------------- sandbox

FROM_A_FILE = NOISY.replace(
    "components:", "data:\n  rate: {type: file, path: rates.h5, key: a/rate}\ncomponents:"
).replace("x.inputs: 1.0", "x.inputs: rate")
SITE = """
import os, signal, sys, time
if "synsim.sandbox" in sys.orig_argv:
    {what}
"""


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A config that reads a file of somebody."""
    with h5py.File(tmp_path / "rates.h5", "w") as file:
        file["a/rate"] = np.random.default_rng(2).random((12, 30))
    (tmp_path / "noisy.yaml").write_text(FROM_A_FILE)
    return tmp_path


def in_the_child(tmp_path: Path, what: str) -> dict[str, str]:
    """An environment in which the child that reads does something first."""
    (site := tmp_path / "site").mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE.format(what=what))
    return {"PYTHONPATH": os.pathsep.join([str(site), str(Path(package.__file__).parents[1])])}


def test_a_normal_file_gives_the_same_numbers(given, runs):  # noqa: F811
    with sandbox.sandboxed():
        apart = read_array(given / "rates.h5", "a/rate", 1 << 20)
    np.testing.assert_array_equal(apart, read_array(given / "rates.h5", "a/rate", 1 << 20))
    assert apart.dtype == np.float64
    if choose(False, True):
        for words in ((), ("--sandbox",)):
            synsim("run", "noisy.yaml", "--out", f"out{len(words)}", *words, cwd=given).clear(0)
        complete(given / "out1" / "noisy", given / "out0" / "noisy" / "noisy.h5")
        checks = [synsim("check", "noisy.yaml", *words, cwd=given).clear(0) for words in ((), ("--sandbox",))]
        assert checks[0].out == checks[1].out
        shown = [synsim("inspect", runs[1], *words, cwd=given).clear(0) for words in ((), ("--sandbox",))]
        assert shown[0].out == shown[1].out and len(shown[0].out) > 500


@pytest.mark.parametrize("what", ["os.kill(os.getpid(), signal.SIGSEGV)", "os.abort()"][: choose(1, 2)])
def test_a_file_that_crashes_its_reader_is_one_line(what, given, runs):  # noqa: F811
    env = in_the_child(given, what)
    commands = [("inspect", runs[1]), ("check", "noisy.yaml"), ("run", "noisy.yaml"), ("inspect", runs[1], "--json")]
    for words in commands[: choose(1, 4)]:
        done = synsim(*words, "--sandbox", cwd=given, env=env).clear(74)
        assert done.out == "" and "crashed its reader (signal" in done.last and done.err.count("\n") == 1, done
    assert not (given / "runs").exists()


def test_a_file_that_keeps_its_reader_busy_is_one_line(given, monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    monkeypatch.setenv("PYTHONPATH", in_the_child(given, "time.sleep(60)")["PYTHONPATH"])
    with sandbox.sandboxed(), pytest.raises(StoreError, match=r"rates.h5 kept its reader busy for 1 s"):
        read_array(given / "rates.h5", "a/rate", 1 << 20)


def test_the_child_has_a_limit_on_its_memory(given, monkeypatch):
    (given / "greedy.py").write_text("import sys\nsys.stdout.write(str(len(bytearray(int(sys.argv[1])))))\n")
    monkeypatch.setenv("PYTHONPATH", str(given))
    monkeypatch.setattr(sandbox, "BASE_MEMORY", 200 << 20)
    code, told, said = sandbox.apart("greedy", [str(100 << 20)], "it")
    assert (code, told) == (0, str(100 << 20).encode()), said
    code, told, said = sandbox.apart("greedy", [str(300 << 20)], "it")
    assert code == 1 and told == b"" and b"MemoryError" in said
    code, told, said = sandbox.apart("greedy", [str(300 << 20)], "it", memory=300 << 20)
    assert (code, told) == (0, str(300 << 20).encode()), said


def test_the_child_runs_nothing_from_the_folder_that_it_is_started_in(given, runs, monkeypatch):  # noqa: F811
    """A folder that was unpacked from somewhere may hold a module of any name."""
    for name in ("h5py", "numpy", "json", "synsim", "resource", "encodings"):
        (given / f"{name}.py").write_text("import os\nos.mkdir('pwned')\n")
    monkeypatch.chdir(given)
    with sandbox.sandboxed():
        assert read_array(given / "rates.h5", "a/rate", 1 << 20).shape == (12, 30)
    code, told, said = sandbox.apart("synsim", ["inspect", str(runs[1])], "it")
    assert code == 0 and b"noisy: done" in told, said
    assert not (given / "pwned").exists()


def test_hostile_files_are_refused_by_the_child_in_the_same_words(given, canary):
    with h5py.File(given / "rates.h5", "w") as file:
        file["link"] = h5py.ExternalLink("outside/secret.h5", "/data")
        file.create_dataset("stored", (8,), "u1", external=[("outside/secret.txt", 0, 8)])
        file["text"] = ["a"]
    for key in ("link", "stored", "text", "none")[: choose(2, 4)]:
        words = []
        for wanted in (False, True):
            with sandbox.sandboxed(wanted), pytest.raises(ValueError) as caught:
                read_array(given / "rates.h5", key, 1 << 20)
            words.append(str(caught.value))
        assert words[0] == words[1] and SECRET not in words[0]
