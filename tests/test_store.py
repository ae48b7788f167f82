"""What is written is what is read, whatever ends the writing, and nothing is ever overwritten unasked."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from stored import DT, STEPS, TRIALS, UNITS, blocks, layout, membrane, states, write

from synsim import files, merging, segments, store
from synsim.faults import Locked, MissingInput, StoreError
from synsim.layout import CHUNK_BYTES, Plan, chunk_shape
from synsim.store import Events, Layout, RecordLayout, Run, Trace, Trials, Writer

ALL = STEPS * TRIALS


def check(run: Run, batch: int = 1, upto: int = ALL, dtype: str = "float32") -> None:
    """Every recorded value of the steps below `upto`."""
    fields, trials = blocks(0, upto, batch)
    for name in ("z.v", "z.rate", "W.weights"):
        have, want = run.records[name], fields[name]
        assert have.dtype == dtype
        np.testing.assert_array_equal(have.data, np.asarray(want.data, dtype))
        np.testing.assert_array_equal(have.time, want.time)
        np.testing.assert_array_equal(have.trial, want.trial)
        np.testing.assert_array_equal(have.phase, want.phase)
    spikes = run.spikes("z")
    np.testing.assert_array_equal(spikes.timestamps, fields["z.s"].timestamps)
    np.testing.assert_array_equal(spikes.node_ids, fields["z.s"].node_ids)
    np.testing.assert_array_equal(spikes.trial, fields["z.s"].trial)
    if batch > 1:
        np.testing.assert_array_equal(spikes.row, fields["z.s"].row)
    else:
        assert spikes.row is None
    table = run.trials
    for column in ("phase", "epoch", "start", "row"):
        np.testing.assert_array_equal(getattr(table, column), getattr(trials, column))
    assert set(table.labels) == {"labels", "onehot"}
    for name, values in trials.labels.items():
        np.testing.assert_array_equal(table.labels[name], values)


def leftovers(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.rglob("*") if ".tmp" in path.name)


# --- content ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_value_comes_back(tmp_path: Path, batch: int, dtype: str) -> None:
    path = write(tmp_path / "small", (13, 40, 41, 77), batch=batch, dtype=dtype)
    for place in (path, tmp_path / "small"):
        with Run(place) as run:
            assert run.state == "done" and run.name == "small" and run.seed == 7
            check(run, batch, dtype=dtype)
            assert run.phases == ("train", "test")
            assert run.config_text == layout().config_text and run.config == {"name": "small", "seed": 7}
            assert run.provenance["command"] == "synsim run small.yaml"
            weights = states()["W"]["weights"][0]
            np.testing.assert_array_equal(run.initial("W", "weights"), weights)
            np.testing.assert_array_equal(run.final("W", "weights"), weights)
            assert run.final("z", "v").shape == ((batch, 4) if batch > 1 else (4,))
            assert run.states("final")["z.v"].unit == "mV" and set(run.states("initial")) == {"W.weights", "W.biases"}
            assert run.records["z.v"].form == ("report" if batch == 1 and dtype == "float32" else "record")
            assert run.records["z.v"].unit == "mV" and run.records["W.weights"].unit == ""
            assert [name for name, _ in run.records["W.weights"].axes] == ["pre_unit", "post_unit"]
    assert not (tmp_path / "small" / "seg").exists() and not leftovers(tmp_path)


def test_layout_of_the_file(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "small")) as file:
        assert file.attrs["magic"] == 0x0A7A and list(file.attrs["version"]) == [0, 1]
        assert isinstance(file.get("records/z/v", getlink=True), h5py.SoftLink)
        assert file["records/z/v/data"] == file["report/z.v/data"]
        assert set(file["report/z.v/mapping"]) == {"node_ids", "index_pointers", "element_ids", "time", "bound"}
        np.testing.assert_array_equal(file["report/z.v/mapping/time"], [0, ALL * DT, DT])
        assert file["spikes/z"].attrs.get_id("sorting").dtype == h5py.enum_dtype(
            {"none": 0, "by_id": 1, "by_time": 2}, basetype="u1"
        )
        assert file["spikes/z/timestamps"].dtype == np.float64 and file["spikes/z/node_ids"].dtype == np.uint64
        assert list(file["trials/phase"].attrs["names"]) == ["train", "test"]
        assert len(file["config/yaml"].attrs["sha256"]) == 64

        def look(name: str, item: object) -> None:
            if not isinstance(item, h5py.Dataset):
                return
            assert item.attrs["units"] and item.attrs["long_name"], name
            assert item.dtype != np.float16
            for axis in item.dims if not item.is_scale else ():
                assert len(axis) == 1 and axis[0].name.rpartition("/")[0] == item.name.rpartition("/")[0], name
            for value in item.parent.attrs.values():
                assert not isinstance(value, h5py.Reference)

        file.visititems(look)


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a" / "small", (13, 40)).read_bytes()
    time.sleep(1.1)  # any time of day in it would show
    assert write(tmp_path / "b" / "small", tuple(range(1, ALL))).read_bytes() == first


def test_a_file_cut_anyhow_has_the_same_chunks(tmp_path: Path) -> None:
    wide = Layout("wide", (RecordLayout("z", "v", "record", (700,), (("unit", np.arange(700)),)),))
    seen = []
    for name, cuts in (("a", [1000]), ("b", [1, 7, 333, 334, 900, 1000])):
        writer = Writer(tmp_path / name, wide)
        for low, high in zip([0, *cuts], cuts, strict=False):
            step = np.arange(low, high)
            data = (step[:, None] * 700 + np.arange(700)).astype(np.float32)
            writer.segment(low, high, {"z.v": Trace(data, step, step, 0 * step)})
        seen.append(writer.finish({}).read_bytes())
    assert seen[0] == seen[1]
    with Run(tmp_path / "a") as run:
        assert run.records["z.v"].data[-1, -1] == 999 * 700 + 699
    with h5py.File(tmp_path / "a" / "wide.h5") as file:
        assert file["records/z/v/data"].chunks[0] < 1000


@pytest.mark.parametrize("shape", [(1,), (10**6,), (3, 784, 400), (10**5, 7), (2, 10**6), (1, 1, 3, 10**7), (5, 0)])
def test_chunks_are_of_one_size_and_cover_evenly(shape: tuple[int, ...]) -> None:
    chunk = chunk_shape(shape, 4)
    assert len(chunk) == len(shape) and all(1 <= c <= max(1, n) for c, n in zip(chunk, shape, strict=True))
    assert np.prod(chunk, dtype=float) * 4 <= CHUNK_BYTES
    assert np.prod([-(-n // c) * c / n for c, n in zip(chunk, shape, strict=True) if n]) < 1.6


@pytest.mark.parametrize("held", [segments.HELD_BYTES, 5000, 0])
def test_streamed_to_the_disk_it_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(merging, "IN_MEMORY", 0)
    monkeypatch.setattr(segments, "HELD_BYTES", held)
    with Run(write(tmp_path / "small", (13, 40), batch=3)) as run:
        check(run, 3)


def test_indexing_reads_as_numpy_does(tmp_path: Path) -> None:
    whole = membrane(np.arange(ALL), 1).astype(np.float32)
    writer = Writer(tmp_path / "small", layout())
    for first, last in ((0, 7), (7, 8), (8, ALL)):
        writer.segment(first, last, *blocks(first, last))
    keys = [
        0,
        -1,
        7,
        slice(None),
        slice(5, 9),
        slice(3, None, 4),
        slice(9, 5),
        slice(None, None, -1),
        ...,
        [1, 8],
        (slice(6, 10), 2),
        (3, 1),
        (slice(None), slice(1, 3)),
        (-2, slice(None)),
        (slice(2, 9, 3), -1),
    ]
    with Run(tmp_path / "small") as run:
        data = run.records["z.v"].data
        for key in keys:
            np.testing.assert_array_equal(data[key], whole[key])
        with pytest.raises(IndexError):
            data[ALL]
        np.testing.assert_array_equal(np.concatenate(list(data.blocks())), whole)
        assert np.asarray(data, np.float64).dtype == np.float64 and data.shape == whole.shape
    writer.close()


def test_odd_values_are_stored(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "odd", Layout("odd", batch=2))
    writer.segment(0, 1, {}, Trials([0], [0], [0.0], [[3, 4]]))
    final = {
        "x": {
            "flag": (np.array([[True], [False]]), "", "A flag.", ("row", "unit")),
            "half": (np.float16(0.5), "", "Half.", ()),
            "unit": (np.ones((2, 3)), "", "Named as an axis.", ("row", "unit")),
            "nothing": (np.zeros((0, 2)), "", "Empty.", ("pre_unit", "post_unit")),
        }
    }
    with Run(writer.finish(final)) as run:
        assert run.final("x", "flag").tolist() == [[1], [0]] and run.final("x", "half").dtype == np.float32
        assert run.states()["x.unit"].axes == ("row", "unit_3") and run.final("x", "nothing").shape == (0, 2)
        assert run.trials.row.tolist() == [[3, 4]] and not run.records and not run.events
        with pytest.raises(StoreError, match="no final state x.y; there are x.flag"):
            run.final("x", "y")
        with pytest.raises(KeyError, match="nothing"):
            run["x.y"]


def test_two_spiking_outlets_of_one_component(tmp_path: Path) -> None:
    records = tuple(RecordLayout("z", name, "events", (4,), doc=name) for name in ("s", "dendritic"))
    writer = Writer(tmp_path / "two", Layout("two", records))
    writer.segment(0, 2, {"z.s": Events([1.0, 0.0], [1, 2], [0, 0]), "z.dendritic": Events([1.0], [3], [0])})
    with Run(writer.finish({})) as run:
        assert run.events["z.s"].population == "z" and run.events["z.dendritic"].population == "z.dendritic"
        assert run.spikes("z").timestamps.tolist() == [0.0, 1.0]  # sorted by time, as the file says of itself
        assert run.spikes("z").node_ids.tolist() == [2, 1] and run.spikes("z.dendritic").node_ids.tolist() == [3]


def test_what_was_promised_must_come(tmp_path: Path) -> None:
    with Writer(tmp_path / "small", layout()) as writer:
        fields, trials = blocks(0, 10)
        with pytest.raises(ValueError, match="does not follow"):
            writer.segment(5, 10, fields, trials)
        with pytest.raises(ValueError, match="not among the records"):
            writer.segment(0, 10, {"q.v": fields["z.v"]}, None)
        with pytest.raises(ValueError, match="as values, not as events"):
            writer.segment(0, 10, {"z.v": fields["z.s"]}, None)
        with pytest.raises(ValueError, match="rows of shape"):
            writer.segment(0, 10, {"z.v": replace(fields["z.v"], data=np.zeros((10, 5)))}, None)
        with pytest.raises(ValueError, match="unequal length"):
            writer.segment(0, 10, {"z.v": replace(fields["z.v"], trial=np.zeros(9))}, None)
        with pytest.raises(ValueError, match="spaced evenly"):
            writer.segment(0, 10, {"z.v": replace(fields["z.v"], time=np.arange(10.0) ** 2)}, None)
        writer.segment(0, 10, fields, trials)
    for bad in ({"component": "a/b"}, {"form": "trace"}, {"shape": (5,)}, {"axes": (("time", UNITS),)}):
        with pytest.raises(ValueError):
            RecordLayout(
                **{
                    "component": "z",
                    "compartment": "v",
                    "form": "record",
                    "shape": (4,),
                    "axes": (("unit", UNITS),),
                    **bad,
                }
            )
    with pytest.raises(ValueError, match="trial table"):
        Layout("x", labels=(store.LabelLayout("row"),))


# --- reading what is not finished ------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", [segments.HELD_BYTES, 0])
def test_a_running_run_is_read_from_its_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(segments, "HELD_BYTES", held)
    writer = Writer(tmp_path / "small", layout())
    with Run(tmp_path / "small") as run:
        assert run.state == "running" and len(run["z.v"].data) == 0 and len(run.trials) == 0
    writer.initial({"W": states()["W"]})
    writer.segment(0, 33, *blocks(0, 33))
    writer.segment(33, 50, *blocks(33, 50))
    writer.status(trial=2)
    early = Run(tmp_path / "small")
    assert early.state == "running" and early.status["trial"] == 2 and early.status["steps_saved"] == 50
    check(early, upto=50)
    np.testing.assert_array_equal(early.initial("W", "weights"), states()["W"]["weights"][0])
    assert early.states("final") == {}
    with pytest.raises(StoreError, match="no final state"):
        early.final("z", "v")
    writer.segment(50, ALL, *blocks(50, ALL))
    writer.finish(states())
    check(early, upto=50)  # its segments are gone, but the file has their rows
    assert early.steps == 50
    early.close()


@pytest.mark.parametrize("state", ["interrupted", "failed"])
def test_a_stopped_run_keeps_what_it_has(tmp_path: Path, state: str) -> None:
    writer = Writer(tmp_path / "small", layout(3))
    writer.initial({"W": states()["W"]})
    writer.segment(0, 50, *blocks(0, 50, 3))
    writer.stop(state, "because", states(3))
    with Run(tmp_path / "small") as run:
        assert run.state == state and run.status["reason"] == "because"
        check(run, 3, upto=50)
        assert run.final("z", "v").shape == (3, 4)


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "small", layout())
    writer.segment(0, 50, *blocks(0, 50))
    writer.close()
    with Run(tmp_path / "small") as run:
        assert run.state == "interrupted" and "without a word" in run.status["reason"]
        check(run, upto=50)


def refusal(path: Path, error: type[Exception] = StoreError) -> str:
    with pytest.raises(error) as caught, Run(path) as run:
        check(run)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_damaged_and_foreign_files_are_one_clear_line(tmp_path: Path) -> None:
    good = write(tmp_path / "small").read_bytes()
    bad = tmp_path / "bad.h5"
    for content in (b"", b"not hdf5 at all", good[:1000], good[: len(good) // 2], good[:-100]):
        bad.write_bytes(content)
        assert "bad.h5" in refusal(bad)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    assert "not a file of a synsim run" in refusal(tmp_path / "foreign.h5")
    assert "no such file" in refusal(tmp_path / "nowhere.h5", MissingInput)
    (tmp_path / "empty").mkdir()
    assert "not the directory of a synsim run" in refusal(tmp_path / "empty")
    (tmp_path / "empty" / "status.json").write_text("{")
    assert "status.json is damaged" in refusal(tmp_path / "empty")
    writer = Writer(tmp_path / "cut", layout())
    for first in range(0, 40, 10):
        writer.segment(first, first + 10, *blocks(first, first + 10))
    writer.close()
    segment = tmp_path / "cut" / "seg" / "seg-000000000010-000000000020.h5"
    content = segment.read_bytes()
    segment.write_bytes(content[:900])
    assert segment.name in refusal(tmp_path / "cut")
    segment.unlink()
    assert "steps 10 to 20 is missing" in refusal(tmp_path / "cut")


def test_a_flipped_bit_is_never_another_number(tmp_path: Path, scale: Callable[..., Any]) -> None:
    """Checksums of data and of structure: damage is an error, or touches words only."""
    path = write(tmp_path / "small", (50,))
    script = tmp_path / "flip.py"
    script.write_text(
        textwrap.dedent("""
        import sys
        import numpy as np
        from synsim.faults import StoreError
        from synsim.store import Run
        sys.path.insert(0, sys.argv[1])
        from test_store import check
        good, random = bytearray(open(sys.argv[2], "rb").read()), np.random.default_rng(int(sys.argv[4]))
        errors = 0
        for _ in range(int(sys.argv[3])):
            at = int(random.integers(len(good)))
            good[at] ^= 1 << int(random.integers(8))
            with open(sys.argv[2] + ".bad", "wb") as file:
                file.write(good)
            good[at] = open(sys.argv[2], "rb").read()[at]
            try:
                with Run(sys.argv[2] + ".bad") as run:
                    run.config, run.states()
                    if set(run.records) | set(run.events) != {"z.v", "z.rate", "W.weights", "z.s"}:
                        continue  # names are words
                    check(run)
            except StoreError as error:
                assert "\\n" not in str(error)
                errors += 1
        print(errors)
    """)
    )
    many = scale(quick=60, ci=200, full=1000)
    here = str(Path(__file__).parent)
    command = [sys.executable, str(script), here, str(path), str(many), "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > many // 4


# --- one writer, nothing overwritten ---------------------------------------------------------------------------------


def environment() -> dict[str, str]:
    root = str(Path(store.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, str(Path(__file__).parent)])}


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    with Writer(tmp_path / "small", layout()) as writer:
        writer.segment(0, 50, *blocks(0, 50))
        for overwrite in (False, True):
            code = (
                "import sys; from stored import layout; from synsim.store import Writer\n"
                "from synsim.faults import Locked\n"
                f"try: Writer({str(tmp_path / 'small')!r}, layout(), {overwrite})\n"
                "except Locked as e: print(e); sys.exit(e.exit_code)"
            )
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
            assert done.returncode == 73, done.stderr
            assert f"process {os.getpid()} on {os.uname().nodename}" in done.stdout
        with pytest.raises(Locked):
            Writer(tmp_path / "small", layout())
        writer.segment(50, ALL, *blocks(50, ALL))
        with Run(writer.finish(states())) as run:
            check(run)


@pytest.mark.parametrize("ended", ["finished", "stopped", "killed"])
def test_a_run_is_replaced_only_when_asked(tmp_path: Path, ended: str) -> None:
    folder = tmp_path / "small"
    writer = Writer(folder, layout())
    writer.segment(0, ALL, *blocks(0, ALL))
    if ended == "finished":
        writer.finish(states())
    elif ended == "stopped":
        writer.stop("interrupted", "signal")
    else:
        writer.close()
        (folder / "seg" / ".seg-000000000120-000000000140.h5.tmp77").write_bytes(b"half")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(Locked, match="--overwrite"):
        Writer(folder, layout())
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    mine = ("notes.txt", ".notes.tmp1", "seg/seg-1.h5", "other.h5", "seg/seg-000000000000-000000000009.h5.bak")
    for name in mine:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    other = Writer(folder, layout(name="small"), overwrite=True)
    assert not (folder / "small.h5").exists()
    other.segment(0, 20, *blocks(0, 20))
    with Run(folder) as run:
        check(run, upto=20)
    other.finish(states())
    assert all((folder / name).read_text() == "mine" for name in mine)
    assert leftovers(folder) == [".notes.tmp1"]


def test_folders_that_are_no_runs_stay_as_they_are(tmp_path: Path) -> None:
    for name, content in (("config.yaml", "mine: 1"), ("status.json", "{}"), ("small.h5", "x"), ("a.txt", "")):
        folder = tmp_path / name.replace(".", "")
        folder.mkdir()
        (folder / name).write_text(content)
        for overwrite in (False, True):
            with pytest.raises(Locked, match="holds no run of synsim"):
                Writer(folder, layout(), overwrite)
        assert [path.name for path in folder.iterdir()] == [name] and (folder / name).read_text() == content
    (tmp_path / "file").write_text("mine")
    with pytest.raises((Locked, StoreError)):
        Writer(tmp_path / "file", layout(), True)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("linked", ["", "small.h5", "lock", "status.json", "config.yaml", "seg"])
def test_symbolic_links_are_refused(tmp_path: Path, linked: str) -> None:
    canary = tmp_path / "canary"
    if linked in ("", "seg"):
        canary.mkdir()
    else:
        canary.write_text("alive")
    folder = tmp_path / "small"
    if linked:
        folder.mkdir()
    (folder / linked if linked else folder).symlink_to(canary)
    for overwrite in (False, True):
        with pytest.raises(Locked, match="symbolic link"):
            Writer(folder, layout(), overwrite)
    assert not any(canary.iterdir()) if canary.is_dir() else canary.read_text() == "alive"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "/abs", "a/b", "a\\b", "-x", ".x", "a\n", "é", "con", "NUL.h5", "a" * 65, "x."]
)
def test_names_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name a run"):
        Writer(tmp_path / "run", layout(name=name))
    assert not any(tmp_path.iterdir())


def test_without_flock_a_file_of_its_own_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_flock)
    writer = Writer(tmp_path / "small", layout())
    with pytest.raises(Locked, match=f"process {os.getpid()}"):
        Writer(tmp_path / "small", layout(), overwrite=True)
    with Run(tmp_path / "small") as run:
        assert run.state == "running"
    writer.close()
    assert not (tmp_path / "small" / "lock.owner").exists()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "small" / "lock.owner").write_text(json.dumps({"host": os.uname().nodename, "pid": gone.pid}))
    Writer(tmp_path / "small", layout(), overwrite=True).close()  # its process is dead
    (tmp_path / "small" / "lock.owner").write_text(json.dumps({"host": "elsewhere", "pid": gone.pid}))
    with pytest.raises(Locked, match="on elsewhere"):
        Writer(tmp_path / "small", layout(), overwrite=True)


# --- what can go wrong on the way ------------------------------------------------------------------------------------

WRITER = """
import sys
from stored import ALL_STEPS, blocks, layout, states
from synsim.faults import StoreError
from synsim.store import Writer
import resource, os
from pathlib import Path
folder, size = Path(sys.argv[1]), int(sys.argv[2])
if len(sys.argv) > 3:
    import synsim.merging
    synsim.merging.IN_MEMORY = int(sys.argv[3])
try:
    writer = Writer(folder, layout())
    writer.initial({"W": states()["W"]})
    if size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    for first in range(0, ALL_STEPS, 5):
        writer.segment(first, first + 5, *blocks(first, first + 5))
        print("saved", first + 5, flush=True)
    writer.finish(states())
    print("done", flush=True)
except StoreError as error:
    print("error", error, flush=True)
    sys.exit(error.exit_code)
"""


def acknowledged(output: str) -> int:
    return max((int(line.split()[1]) for line in output.splitlines() if line.startswith("saved")), default=0)


def check_saved(folder: Path, output: str) -> None:
    """Everything that was reported as saved is there, with the right values."""
    with Run(folder) as run:
        have = len(run.records["z.v"].data)
        assert have >= acknowledged(output)
        check(run, upto=have)
        assert run.state == ("done" if "done" in output else run.state)
        np.testing.assert_array_equal(run.initial("W", "weights"), states()["W"]["weights"][0])


def test_a_killed_writer_loses_nothing_it_reported(tmp_path: Path, scale: Callable[..., Any]) -> None:
    kills = scale(quick=8, ci=24, full=100)
    random, reached = np.random.default_rng(3), []
    for number in range(kills):
        folder = tmp_path / f"run{number}" / "small"
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), "0"], stdout=subprocess.PIPE, text=True, env=environment()
        )
        assert process.stdout is not None
        output = "".join(process.stdout.readline() for _ in range(int(random.integers(1, ALL // 5 + 1))))
        time.sleep(float(random.uniform(0, 0.02)))  # somewhere in the next segments, or in the merge
        process.send_signal(signal.SIGKILL)
        output += process.stdout.read()
        process.wait()
        process.stdout.close()
        check_saved(folder, output)
        reached.append(acknowledged(output))
        if "done" not in output and not (folder / "small.h5").exists():
            with Run(folder) as run:
                assert run.state == "interrupted"
            Writer(folder, layout(), overwrite=True).close()  # and its lock went with it
            assert not leftovers(folder)
    assert len(set(reached)) > 1


@pytest.mark.parametrize("in_memory", [merging.IN_MEMORY, 0])
@pytest.mark.parametrize("size", [2_000, 16_000, 30_000])
def test_files_may_not_grow(tmp_path: Path, size: int, in_memory: int) -> None:
    """A limit on the size of files, as a quota: in a segment (2 kB), or at the merge only."""
    folder = tmp_path / "small"
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(folder), str(size), str(in_memory)],
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 74, (done.returncode, done.stdout, done.stderr[-2000:])
    assert done.stderr == ""
    assert "File too large" in done.stdout and ("are safe in" in done.stdout or "nothing of this run" in done.stdout)
    check_saved(folder, done.stdout)
    assert acknowledged(done.stdout) == (0 if size == 2_000 else ALL)
    assert not (folder / "small.h5").exists() and not leftovers(folder)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", str(place)], capture_output=True)
    if os.geteuid() != 0 or mounted.returncode != 0:
        pytest.skip("may not mount a small disk here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("in_memory", [merging.IN_MEMORY, 0])
def test_a_full_disk(tiny_disk: Path, in_memory: int) -> None:
    outcomes = set()
    for filled in (0, 124, 280, 470):
        folder = tiny_disk / f"run{filled}" / "small"
        ballast = tiny_disk / "ballast"
        ballast.write_bytes(bytes(filled << 10))
        done = subprocess.run(
            [sys.executable, "-c", WRITER, str(folder), "0", str(in_memory)],
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert done.returncode in (0, 74) and done.stderr == "", (done.returncode, done.stdout, done.stderr[-2000:])
        outcomes.add((done.returncode, acknowledged(done.stdout) == ALL))
        if done.returncode == 74:
            assert not (folder / "small.h5").exists() and not leftovers(tiny_disk)
            assert "No space left" in done.stdout or "are free" in done.stdout
        if acknowledged(done.stdout):
            check_saved(folder, done.stdout)
        subprocess.run(["rm", "-rf", str(folder.parent), str(ballast)], check=True)
    assert outcomes == {(0, True), (74, True), (74, False)}  # room for all, for segments only, and for few


@pytest.mark.parametrize("broken", ["fsync", "replace", "open"])
def test_an_error_of_the_disk_is_not_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    writer = Writer(tmp_path / "small", layout())
    writer.segment(0, 50, *blocks(0, 50))

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        with pytest.raises(StoreError) as caught:
            writer.segment(50, 60, *blocks(50, 60))
        assert "cannot save steps 50 to 60: Input/output error; steps 0 to 50 are safe" in str(caught.value)
        assert caught.value.exit_code == 74
    with Run(tmp_path / "small") as run:
        check(run, upto=50)
    writer.segment(50, 60, *blocks(50, 60))  # the disk is well again
    with Run(tmp_path / "small") as run:
        check(run, upto=60)
    assert not leftovers(tmp_path)
    writer.close()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("what", ["changed on the way", "segment damaged", "no space", "error while writing"])
def test_a_failed_merge_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, streamed: bool
) -> None:
    if streamed:
        monkeypatch.setattr(merging, "IN_MEMORY", 0)
    writer = Writer(tmp_path / "small", layout())
    writer.initial({"W": states()["W"]})
    for first in range(0, ALL, 20):
        writer.segment(first, first + 20, *blocks(first, first + 20))
    segment = tmp_path / "small" / "seg" / "seg-000000000040-000000000060.h5"
    content = segment.read_bytes()
    with monkeypatch.context() as patch:
        if what == "changed on the way":
            real = merging.fill

            def fill(datasets: dict[str, h5py.Dataset], it: Plan, *rest: Any) -> None:
                real(datasets, it, *rest)
                if it.columns.get("/report/z.v/data") and it.columns["/report/z.v/data"].shape[0]:
                    datasets["/report/z.v/data"][3, 2] += 1

            patch.setattr(merging, "fill", fill)
        elif what == "segment damaged":
            segment.write_bytes(content[: len(content) // 2])
        elif what == "no space":
            full = os.statvfs_result((4096, 4096, 10, 0, 0, 1, 1, 1, 0, 255))
            patch.setattr(os, "fstatvfs", lambda _: full)
        else:
            pwrite, write_ = os.pwrite, os.write
            patch.setattr(os, "pwrite", lambda fd, data, at: fail() if at > 9000 else pwrite(fd, data, at))
            patch.setattr(os, "write", lambda fd, data: fail() if len(data) > 30000 else write_(fd, data))

        def fail() -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(StoreError) as caught:
            writer.finish(states())
        assert "steps 0 to 120 are safe in" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "small" / "small.h5").exists() and not leftovers(tmp_path)
    segment.write_bytes(content)
    with Run(tmp_path / "small") as run:
        check(run)
        assert run.final("z", "v").shape == (4,)  # the last state was kept before the merge
    with Run(writer.finish(states())) as run:  # and it can be tried again
        check(run)


def test_a_stop_that_cannot_be_written_frees_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "small", layout())
    writer.segment(0, 50, *blocks(0, 50))

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(StoreError, match="No space left"):
            writer.stop("failed", "disk", states())
    with Run(tmp_path / "small") as run:
        assert run.state == "interrupted"
        check(run, upto=50)


def test_atomic_write_replaces_or_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    files.atomic_write(path, b"one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "EIO")))
        with pytest.raises(OSError):
            files.atomic_write(path, b"two")
    assert path.read_bytes() == b"one" and os.listdir(tmp_path) == ["a"]
    (tmp_path / "link").symlink_to(path)
    files.atomic_write(tmp_path / "link", b"three")
    assert path.read_bytes() == b"one" and (tmp_path / "link").read_bytes() == b"three"
