"""What `check` and `components` say, and that the memory and the file that `check` promises are those of a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import choose

from synsim import api, catalogue, describe, pages, reference
from synsim.faults import MissingInput
from synsim.preflight import readable

pytestmark = pytest.mark.usefixtures("small_programs")

CONFIG = """
name: paged
seed: 3
run: {dt: 0.5, steps: 20, batch: 4, partial: drop}
data:
  image: {type: digits, part: images, rows: "0:50", scale: 0.0625}
  label: {type: digits, part: labels, rows: "0:50"}
components:
  x: {type: PoissonCell, n_units: 64, target_freq: 100}
  W: {type: TraceSTDPSynapse, A_plus: 0.01, A_minus: 0.001}
  z: {type: LIFCell, n_units: 30, tau_m: 20}
  tx: {type: VarTrace, n_units: 64, tau_tr: 20}
  tz: {type: VarTrace, n_units: 30, tau_tr: 20}
wires:
  x.inputs: image
  W.inputs: x.outputs
  z.j: W.outputs - (0.5 * z.s + 2)
  tx.inputs: x.outputs
  tz.inputs: z.s
  W.preSpike: x.outputs
  W.preTrace: tx.trace
  W.postSpike: z.s
  W.postTrace: tz.trace
phases:
  - {name: learn, epochs: 3}
  - {name: hold, trials: 2, steps: 10, learning: false, schedule: {end: [z.reset]}}
record:
  z.s: {as: events}
  z.v: {every: 4, index: "0:10"}
  W.weights: {every: trial}
  label: {every: trial}
"""


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("pages") / "paged.yaml"
    path.write_text(CONFIG)
    return api.check(path)


# ------------------------------------------------------------------------------------------------------------- check


def test_the_document_of_a_plan(it):
    about = json.loads(json.dumps(pages.plan_document(it)))
    assert [about[key] for key in ("name", "seed", "dt", "batch", "precision")] == ["paged", 3, 0.5, 4, "float32"]
    assert about["trials"] == 3 * 12 + 2 and about["steps"] == 36 * 20 + 2 * 10
    assert list(about["components"]) == ["x", "W", "z", "tx", "tz"]
    weights = about["components"]["W"]
    assert weights["type"] == "TraceSTDPSynapse"
    assert weights["parts"] == {"connectivity": "dense", "dynamics": "instant", "rule": "trace_stdp"}
    assert weights["sizes"] == {"pre": [64], "post": [30], "weight": [64, 30], "bias": [30]}
    assert weights["compartments"]["weights"] == {"kind": "state", "shape": [64, 30], "unit": ""}
    assert about["components"]["z"]["compartments"]["v"] == {"kind": "state", "shape": [4, 30], "unit": "mV"}
    learn, hold = about["phases"]
    assert (learn["trials"], learn["steps_per_trial"], learn["rows"], learn["rows_dropped_each_epoch"]) == (
        36,
        20,
        50,
        2,
    )
    assert learn["wires"]["z.j"] == "W.outputs - (0.5 * z.s + 2.0)" and learn["wires"]["x.inputs"] == "image"
    assert learn["unwired"] == ["W.back", "z.jump"]
    assert learn["order"] == {
        "start": [f"{name}.reset" for name in about["components"]],
        "step": [*(f"{name}.advance" for name in about["components"]), "W.evolve"],
        "end": [],
    }
    assert hold["order"]["end"] == ["z.reset"] and "W.evolve" not in hold["order"]["step"]
    assert about["records"]["z.s"] == {
        "form": "events",
        "shape": [4, 30],
        "every": 1,
        "unit": "",
        "phases": ["learn", "hold"],
    }
    assert about["records"]["z.v"]["shape"] == [4, 10] and about["records"]["z.v"]["every"] == 4
    assert about["records"]["W.weights"]["every"] == "trial" and "label" not in about["records"]
    assert about["state_bytes"]["W.weights"] == 64 * 30 * 4 and about["state_bytes"]["z.v"] == 4 * 30 * 4
    assert about["memory_bytes"] > 100 << 20 and about["file_bytes"] > 38 * 64 * 30 * 4


def test_the_same_for_people(it):
    text = "\n".join(pages.plan_lines(it))
    for said in (
        "paged: seed 3, dt 0.5 ms, batch 4, float32",
        "dense x instant x trace_stdp",
        "weight [64, 30]",
        "learn: 36 trials of 20 steps over 50 rows, 2 rows dropped each epoch",
        "hold: 2 trials of 10 steps",
        "reset all",
        "W.outputs - (0.5 * z.s + 2.0)",
        "unwired (they read their default)",
        "W.back",
        "once a trial",
        "every 4",
        "38 trials, 740 steps, 0.37 s of biological time",
        "W.weights 7.5 KiB",
        "spikes are guessed",
    ):
        assert said in text, said
    assert all(len(line) <= 120 and line == line.rstrip() for line in text.splitlines())
    assert readable(it.estimate.memory) in text and readable(it.estimate.file) in text


def test_a_plan_without_wires_or_records():
    it = api.check({"name": "bare", "run": {"steps": 1}, "components": {"a": {"type": "ConstantSource", "n_units": 1}}})
    text = "\n".join(pages.plan_lines(it))
    assert "records" not in text and "guessed" not in text and "1 trials of 1 steps" in text
    assert pages.plan_document(it)["records"] == {}


# -------------------------------------------------------------------------------------------------------- components


@pytest.mark.parametrize("name", catalogue.types())
def test_every_type_is_shown_in_full(name):
    card = describe.card(name)
    text = "\n".join(reference.card_lines(card))
    page = "\n".join(reference.card_markdown(card))
    assert text.startswith(f"{name} ({card['family']}): ") and page.startswith(f"## {name}\n")
    assert card["doc"] in " ".join(text.split()) and card["doc"] in page
    one_line = " ".join(text.split())
    for setting in card["settings"]:
        assert f"{setting['name']}: " in text and f"| `{setting['name']}` |" in page
        assert " ".join(setting["doc"].split()) in one_line
        if setting["unit"]:
            assert f"[{setting['unit']}]" in text and f"| {setting['unit']} |" in page
        if setting["required"]:
            assert "required" in page
    for each in card["compartments"]:
        assert f"  {each['name']}: {each['kind']}" in text and f"| `{each['name']}` | {each['kind']} |" in page
    for method in card["methods"]:
        assert method in text.splitlines()[-1] and f"`{method}`" in page
    assert "None" not in page.replace("`none`", "") and "MISSING" not in page and "<class" not in page + text
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize("name", catalogue.types())
def test_markdown_tables_have_as_many_cells_as_their_heads(name):
    rows = [line for line in reference.card_markdown(describe.card(name)) if line.startswith("|")]
    cells = [line.replace("\\|", "").count("|") for line in rows]
    heads = [i for i, line in enumerate(rows) if set(line) <= set("|-")]
    assert len(heads) == 2
    settings, compartments = cells[: heads[1] - 1], cells[heads[1] - 1 :]
    assert len(set(settings)) == 1 and len(set(compartments)) == 1


def test_the_list_names_every_type_once_under_its_family():
    cards = [describe.card(name) for name in catalogue.types()]
    text = list(reference.catalogue_lines(cards))
    for card in cards:
        (line,) = [line for line in text if line.split()[:1] == [card["type"]]]
        assert card["doc"] in line
        above = [line for line in text[: text.index(line)] if line and not line.startswith(" ")]
        assert above[-1] == card["family"]


# --------------------------------------------------------------------------------------------------------- estimates

# runs a command and says the most memory that it held
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.stderr.write(done.stderr)
sys.exit(done.returncode)
"""


def dense(pre: int, post: int, **rest: Any) -> dict[str, Any]:
    return {
        "name": "sized",
        "run": {"steps": 20},
        "components": {
            "x": {"type": "PoissonCell", "n_units": pre, "target_freq": 50},
            "W": {"type": "TraceSTDPSynapse", "A_plus": 0.01, "A_minus": 0.01},
            "z": {"type": "LIFCell", "n_units": post, "tau_m": 10},
            "tx": {"type": "VarTrace", "n_units": pre, "tau_tr": 10},
            "tz": {"type": "VarTrace", "n_units": post, "tau_tr": 10},
        },
        "wires": {
            "x.inputs": 0.5,
            "W.inputs": "x.outputs",
            "z.j": "W.outputs",
            "tx.inputs": "x.outputs",
            "tz.inputs": "z.s",
            "W.preSpike": "x.outputs",
            "W.preTrace": "tx.trace",
            "W.postSpike": "z.s",
            "W.postTrace": "tz.trace",
        },
        "record": {"z.v": {}},
        **rest,
    }


def measured(config: dict[str, Any], folder: Path) -> Iterator[tuple[int, int]]:
    """The peak memory of `synsim run` and the size of its file, again and again; at first nothing is in its cache."""
    (folder / "sized.yaml").write_text(json.dumps(config))
    root = str(Path(pages.__file__).parent.parent)
    env = {
        **os.environ,
        "SYNSIM_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    while True:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                MEASURE,
                sys.executable,
                "-m",
                "synsim",
                "run",
                "sized.yaml",
                "--quiet",
                "--overwrite",
            ],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        yield int(done.stdout), (folder / "runs/sized/sized.h5").stat().st_size


SIZES = {
    "small": dense(64, 30),
    "several hundred MB of weights": dense(8000, 7000),
    "records": dense(50, 1000, run={"steps": 10_000}),
    "more records than are held at once": dense(50, 1000, run={"steps": 60_000}),
    "a mask": dense(4000, 3000),
}
SIZES["a mask"]["components"]["W"]["p_conn"] = 0.5


@pytest.mark.parametrize("name", choose(["small", "several hundred MB of weights"], list(SIZES)))
def test_memory_and_file_are_within_a_quarter_of_what_a_run_takes(name, tmp_path):
    config = SIZES[name]
    estimate = api.check(config).estimate
    runs = measured(config, tmp_path)
    for again in range(2 if name == "small" else 1):  # with a cache that is full no compiler is loaded
        memory, file = next(runs)
        assert 0.75 < estimate.memory / memory < 1.25, (again, estimate.memory >> 20, memory >> 20)
        assert 0.75 < estimate.file / file < 1.25, (estimate.file, file)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"z.v": {"every": 3}},
        {"z.v": {"every": "trial"}, "W.weights": {"every": "trial"}},
        {"W.weights": {"every": 5, "index": "0:10"}, "x.outputs": {}, "z.s": {"window": [2, 8]}},
        {"W.weights": {"reduce": "norm"}, "z.v": {"reduce": "mean"}},
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_files_of_known_records_have_their_size(tmp_path, batch, record):
    config = dense(40, 30, record=record, run={"steps": 20, "trials": 5, "batch": batch})
    estimate = api.check(config).estimate
    with api.run(config, out=tmp_path) as run:
        size = run.file.stat().st_size
    assert 0.75 < estimate.file / size < 1.25, (estimate.file, size)


def test_events_are_guessed_from_one_spike_in_fifty(tmp_path):
    config = dense(1000, 30, record={"x.outputs": {"as": "events"}}, run={"steps": 400})
    config["components"]["x"]["target_freq"] = 40  # times .5 times 1 ms: .02 of all
    with api.run(config, out=tmp_path) as run:
        assert abs(len(run.spikes("x").timestamps) / (1000 * 400) - 0.02) < 0.001
        assert 0.75 < api.check(config).estimate.file / run.file.stat().st_size < 1.25


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (dense(60_000, 50_000), "W.weights"),
        (dense(100, 30, run={"steps": 20, "batch": 40_000_000}), "a smaller batch"),
    ],
)
def test_what_will_not_fit_is_refused_before_anything_is_drawn(monkeypatch, config, said):
    monkeypatch.setattr("synsim.preflight.available_memory", lambda: 8 << 30)
    with pytest.raises(MissingInput) as error:
        api.check(config)
    assert said in str(error.value) and "GiB" in str(error.value)


def test_what_does_not_fit_together_is_refused_too(monkeypatch):
    monkeypatch.setattr("synsim.preflight.available_memory", lambda: 1 << 30)
    with pytest.raises(MissingInput, match=r"about .* of memory and 1 GiB are available: W.weights alone takes"):
        api.check(dense(8000, 7000))
    monkeypatch.setattr("synsim.preflight.available_memory", lambda: 1 << 29)
    with pytest.raises(MissingInput, match=r"records that are held at once take .*; record less"):
        api.check(dense(50, 1000, run={"steps": 100_000}))


def test_numbers_of_bytes_are_readable():
    assert [readable(n) for n in (0, 1023, 1024, 7680, 3 << 20, 5 << 30, 7 << 40)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "7.5 KiB",
        "3 MiB",
        "5 GiB",
        "7 TiB",
    ]
    assert np.isfinite(api.check(dense(4, 4)).estimate.memory)


# ------------------------------------------------------------------------------------------------- all of the types


def test_the_reference_page_has_every_type_part_and_key() -> None:
    page = list(reference.page())
    assert page == list(reference.page())
    text = "\n".join(page)
    heads = [line for line in page if line.startswith("#")]
    for name in catalogue.types():
        assert heads.count(f"## {name}") == 1
        assert f"[{name}](#{name.lower()})" in text
        for setting in describe.settings(name):
            assert f"| `{setting}` |" in text
    for kind in (*catalogue.SYNAPSE_PARTS, "initialiser", "corruption", "data"):
        for name in catalogue.parts(kind):
            assert f"### {name}" in heads
    for section in ("run", "an entry of record", "an entry of phases"):
        assert f"## The keys of {section}" in heads
    assert "| `precision` |  | float32 or float64 | `float32` |" in text
    assert "`True`" not in text and "`False`" not in text and "None" not in text.replace("none", "").split()


@pytest.mark.parametrize(
    ("words", "first", "among", "not_among"),
    [
        ("LIF", "LIFCell", {"QuadLIFCell", "LIFSRM"}, {"VarTrace"}),
        ("refractory adaptive", "LIFCell", {"QuadLIFCell"}, {"IFCell", "VarTrace"}),
        ("VARTRACE", "VarTrace", set(), {"LIFCell"}),
        ("g_conduct_factor", None, {"TraceSTDPSynapse"}, {"LIFCell"}),
        ("poisson arrivals", "PoissonDrive", set(), {"LIFCell"}),
        ("postTrace", None, {"TraceSTDPSynapse"}, {"VarTrace"}),
    ],
)
def test_a_search_finds_names_texts_settings_and_compartments(
    words: str, first: str | None, among: set[str], not_among: set[str]
) -> None:
    found = reference.search([describe.card(name) for name in catalogue.types()], words)
    names = [card["type"] for card, _ in found]
    assert first is None or names[0] == first
    assert among <= set(names) and not not_among & set(names)
    lines = list(reference.search_lines(found))
    assert all(any(line.startswith(f"{name} (") for line in lines) for name in names)
    assert max(map(len, lines)) <= 200


def test_a_search_shows_where_it_found_it_and_says_when_it_did_not() -> None:
    cards = [describe.card(name) for name in catalogue.types()]
    ((_, hits),) = [each for each in reference.search(cards, "refractory adaptive") if each[0]["type"] == "LIFCell"]
    assert any(hit.startswith("setting refract_time [ms]: ") for hit in hits)
    assert any(hit.startswith("state thr_theta [mV]: ") for hit in hits)
    assert reference.search(cards, "no_such_word") == [] == reference.search(cards, "LIF no_such_word")
    assert reference.search(cards, "  ") == []
