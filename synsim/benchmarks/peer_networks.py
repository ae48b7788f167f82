"""The classic networks in Brian2 and in NEST, to be run by a Python that has both (tests/peers/install.py).

    python peer_networks.py build NET FOLDER            Brian2: C++ standalone, float32, one thread; compiled, not run
    python peer_networks.py brian NET FOLDER            what was built, run once
    python peer_networks.py nest NET [--delay 1.5]      one thread
    python peer_networks.py spikes brian|nest NET SEED OUT.npz     spikes for statistics; Brian2 by numpy, in float64

NET is cuba_4000, coba_4000, cuba_20000 or brunel_REGIME. Each prints one line of JSON; `us` are microseconds a step, of
the simulation alone. Every run records all spikes.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np

DT = 0.1  # ms
SYNAPSES = 80  # of each neuron, in CUBA and COBA
STEPS = 10_000  # NEST's, and for statistics
LONG = 100_000  # Brian2's, compiled
MEMBRANE = dict(tau_m=20.0, threshold=-50.0, reset=-60.0, refractory=5.0)  # ms, mV; the same in CUBA and COBA
CUBA = dict(rest=-49.0, excitation=1.62, inhibition=-9.0)  # mV
COBA = dict(rest=-60.0, excitation=0.6, inhibition=6.7, E_e=0.0, E_i=-80.0)  # mV, and conductances in units of the leak
TAU_E, TAU_I = 5.0, 10.0
START = dict(v=(-65.0, 5.0), ge=(1.0, 0.5), gi=(4.0, 4.0))  # COBA: mean and deviation
REGIMES = {"AI": (5.0, 2.0), "SR": (3.0, 2.0), "SI_fast": (6.0, 4.0), "SI_slow": (4.5, 0.9)}  # Brunel: g, eta


def size(net: str) -> int:
    """Neurons of CUBA and COBA; the first four fifths are excitatory."""
    return int(net.rsplit("_", 1)[1])


# -------------------------------------------------------------------------------------------------------------- Brian2


def brian(net: str, seed: int | None, connect_by_chance: bool) -> tuple[Any, Any, Any]:
    """The objects of a network: neurons, synapses, monitor."""
    b2: Any = importlib.import_module("brian2")
    b2.defaultclock.dt = DT * b2.ms
    if seed is not None:
        b2.seed(seed)
    if net.startswith("brunel"):
        return brunel_in_brian(*REGIMES[net.removeprefix("brunel_")])
    n, p = size(net), CUBA if net.startswith("cuba") else COBA
    names = dict(tau_m=MEMBRANE["tau_m"] * b2.ms, te=TAU_E * b2.ms, ti=TAU_I * b2.ms, rest=p["rest"], **START)
    membrane = "(ge + gi - (v - rest)) / tau_m"
    if net.startswith("coba"):
        membrane = "(ge * (E_e - v) + gi * (E_i - v) - (v - rest)) / tau_m"
        names |= dict(E_e=p["E_e"], E_i=p["E_i"])
    names = {key: value for key, value in names.items() if not isinstance(value, tuple)}
    cells = b2.NeuronGroup(
        n,
        f"""dv/dt = {membrane} : 1 (unless refractory)
        dge/dt = -ge / te : 1
        dgi/dt = -gi / ti : 1""",
        threshold=f"v > {MEMBRANE['threshold']}",
        reset=f"v = {MEMBRANE['reset']}",
        refractory=MEMBRANE["refractory"] * b2.ms,
        method="exact" if net.startswith("cuba") else "exponential_euler",
        namespace=names,
    )
    if net.startswith("cuba"):
        cells.v = "-60 + 10 * rand()"
    else:
        cells.v = f"{START['v'][0]} + {START['v'][1]} * randn()"
        cells.ge = f"clip({START['ge'][0]} + {START['ge'][1]} * randn(), 0, inf)"
        cells.gi = f"clip({START['gi'][0]} + {START['gi'][1]} * randn(), 0, inf)"
    excitatory = n * 4 // 5
    made = []
    random = np.random.default_rng(1)
    for first, last, variable, jump in (
        (0, excitatory, "ge", p["excitation"]),
        (excitatory, n, "gi", p["inhibition"]),
    ):
        synapses = b2.Synapses(cells, cells, on_pre=f"{variable} += {jump}")
        if connect_by_chance:
            synapses.connect(condition=f"i >= {first} and i < {last}", p=SYNAPSES / n)
        else:
            rows = [random.choice(n, SYNAPSES, replace=False) for _ in range(first, last)]
            synapses.connect(i=np.repeat(np.arange(first, last), SYNAPSES), j=np.concatenate(rows))
        made.append(synapses)
    return cells, made, b2.SpikeMonitor(cells)


def brunel_in_brian(g: float, eta: float) -> tuple[Any, Any, Any]:
    """Brunel (2000) with 2,500 neurons, delta synapses, fixed in-degree."""
    b2: Any = importlib.import_module("brian2")
    J, tau, theta = 0.5, 20.0, 20.0
    cells = b2.NeuronGroup(
        2500,
        """dv/dt = -v / (20 * ms) : 1 (unless refractory)
        outside : 1""",
        threshold="v > 20",
        reset="v = 10",
        refractory=2 * b2.ms,
        method="exact",
    )
    random = np.random.default_rng()
    made = []
    for first, last, number, jump in ((0, 2000, 200, J), (2000, 2500, 50, -g * J)):
        # looked for are spikes before what arrives is added: the next step sees it, 1.5 ms after the spike
        synapses = b2.Synapses(cells, cells, on_pre=f"v += {jump} * int(not_refractory)", delay=1.4 * b2.ms)
        rows = [first + random.choice(last - first, number, replace=False) for _ in range(2500)]
        synapses.connect(i=np.concatenate(rows), j=np.repeat(np.arange(2500), number))
        made.append(synapses)
    rate = 1000.0 * eta * theta / (J * tau)  # Hz, of all outside cells together
    outside = b2.PoissonInput(cells, "outside", N=1000, rate=rate / 1000 * b2.Hz, weight=J, when="before_synapses")
    # a refractory cell is not moved by it
    cells.run_regularly("v += outside * int(not_refractory)\noutside = 0", when="after_synapses")
    return cells, [*made, outside], b2.SpikeMonitor(cells)


def build(net: str, folder: Path) -> dict[str, Any]:
    """Brian2's C++ program for a network."""
    b2: Any = importlib.import_module("brian2")
    b2.prefs.core.default_float_dtype = np.float32
    b2.prefs.devices.cpp_standalone.openmp_threads = 0
    b2.set_device("cpp_standalone", directory=str(folder), build_on_run=False)
    began = time.perf_counter()
    parts = brian(net, None, connect_by_chance=False)
    b2.Network(parts[0], *parts[1], parts[2]).run(LONG * DT * b2.ms)
    b2.device.build(directory=str(folder), compile=True, run=False, debug=False)
    return {"seconds": time.perf_counter() - began}


def built(folder: Path) -> dict[str, Any]:
    """One run of the program that `build` has left; what it says itself of the time is processor time."""
    began = time.perf_counter()
    subprocess.run(["./main"], cwd=folder, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    results = folder / "results"
    processor = float((results / "last_run_info.txt").read_text().split()[0])
    per = 1e6 / LONG
    return {"us": per * seconds, "processor us": per * processor, "spikes": count_of_spikes(results)}


def count_of_spikes(results: Path) -> int:
    """The times that the monitor has written are float64."""
    files = [path for path in results.glob("_dynamic_array_spikemonitor*_t_*")]
    return files[0].stat().st_size // 8 if files else -1


# ---------------------------------------------------------------------------------------------------------------- NEST


def nest_network(net: str, delay: float, seed: int) -> tuple[Any, Any]:
    """Cells and recorder. A neuron has 250 pF and 10 nS, so that currents in pA are 10 times voltages in mV."""
    nest: Any = importlib.import_module("nest")
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = DT
    nest.local_num_threads = 1
    nest.rng_seed = seed
    if net.startswith("brunel"):
        return brunel_in_nest(*REGIMES[net.removeprefix("brunel_")], delay)
    n, random = size(net), np.random.default_rng(seed)
    common = dict(V_th=MEMBRANE["threshold"], V_reset=MEMBRANE["reset"], t_ref=MEMBRANE["refractory"])
    if net.startswith("cuba"):
        cells = nest.Create(
            "iaf_psc_exp",
            n,
            params=dict(C_m=MEMBRANE["tau_m"], tau_m=MEMBRANE["tau_m"], tau_syn_ex=TAU_E, tau_syn_in=TAU_I)
            | dict(E_L=CUBA["rest"], I_e=0.0, **common),
        )
        cells.V_m = (-60.0 + 10.0 * random.random(n)).tolist()
        jumps = CUBA["excitation"], CUBA["inhibition"]
    else:
        leak = 10.0  # nS
        cells = nest.Create(
            "iaf_cond_exp",
            n,
            params=dict(C_m=leak * MEMBRANE["tau_m"], g_L=leak, E_L=COBA["rest"], E_ex=COBA["E_e"], E_in=COBA["E_i"])
            | dict(tau_syn_ex=TAU_E, tau_syn_in=TAU_I, I_e=0.0, **common),
        )
        draws = {key: random.normal(*START[key], n) for key in START}
        cells.V_m = np.minimum(draws["v"], MEMBRANE["threshold"] - 1e-3).tolist()
        cells.g_ex = (leak * np.maximum(draws["ge"], 0.0)).tolist()
        cells.g_in = (leak * np.maximum(draws["gi"], 0.0)).tolist()
        jumps = leak * COBA["excitation"], -leak * COBA["inhibition"]
    excitatory = n * 4 // 5
    for sources, jump in ((cells[:excitatory], jumps[0]), (cells[excitatory:], jumps[1])):
        rule = {"rule": "fixed_outdegree", "outdegree": SYNAPSES, "allow_multapses": False}
        nest.Connect(sources, cells, rule, {"weight": jump, "delay": delay})
    return cells, recorder(cells)


def brunel_in_nest(g: float, eta: float, delay: float) -> tuple[Any, Any]:
    """Brunel (2000) with 2,500 neurons."""
    nest: Any = importlib.import_module("nest")
    J, tau, theta = 0.5, 20.0, 20.0
    params = dict(tau_m=tau, C_m=1.0, E_L=0.0, V_m=0.0, V_th=theta, V_reset=10.0, t_ref=2.0, I_e=0.0)
    cells = nest.Create("iaf_psc_delta", 2500, params=params)
    for sources, number, jump in ((cells[:2000], 200, J), (cells[2000:], 50, -g * J)):
        rule = {"rule": "fixed_indegree", "indegree": number, "allow_multapses": False}
        nest.Connect(sources, cells, rule, {"weight": jump, "delay": delay})
    outside = nest.Create("poisson_generator", params=dict(rate=1000.0 * eta * theta / (J * tau)))
    nest.Connect(outside, cells, syn_spec={"weight": J, "delay": DT})
    return cells, recorder(cells)


def recorder(cells: Any) -> Any:
    """A recorder of all spikes."""
    nest: Any = importlib.import_module("nest")
    made = nest.Create("spike_recorder")
    nest.Connect(cells, made)
    return made


def in_nest(net: str, delay: float) -> dict[str, Any]:
    """One run, building left out."""
    nest: Any = importlib.import_module("nest")
    _, record = nest_network(net, delay, 1)
    nest.Prepare()
    nest.Run(max(delay, DT))
    began, used = time.perf_counter(), time.process_time()
    nest.Run(STEPS * DT)
    seconds, processor = time.perf_counter() - began, time.process_time() - used
    return {"us": 1e6 * seconds / STEPS, "processor us": 1e6 * processor / STEPS, "spikes": int(record.n_events)}


# ---------------------------------------------------------------------------------------------------------- statistics


def spikes(simulator: str, net: str, seed: int, out: Path) -> dict[str, Any]:
    """Times in ms and numbers of the cells that spiked, to a file."""
    if simulator == "brian":
        b2: Any = importlib.import_module("brian2")
        b2.prefs.codegen.target = "numpy"
        parts = brian(net, seed, connect_by_chance=True)
        b2.Network(parts[0], *parts[1], parts[2]).run(STEPS * DT * b2.ms)
        times, cells = np.asarray(parts[2].t / b2.ms), np.asarray(parts[2].i)
    else:
        nest: Any = importlib.import_module("nest")
        _, record = nest_network(net, 1.5 if net.startswith("brunel") else DT, seed)
        nest.Simulate(STEPS * DT)
        events = record.get("events")
        times, cells = events["times"], events["senders"] - 1
    np.savez(out, times=times, cells=cells)
    return {"spikes": len(times)}


def from_words() -> dict[str, Any]:
    """What the words behind the program's name ask for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", choices=("build", "brian", "nest", "spikes"))
    options.add_argument("words", nargs="+")
    options.add_argument("--delay", type=float, default=1.5)
    given = options.parse_args()
    match given.what, given.words:
        case "build", [net, folder]:
            found = build(net, Path(folder))
        case "brian", [_, folder]:
            found = built(Path(folder))
        case "nest", [net]:
            found = in_nest(net, given.delay)
        case "spikes", [simulator, net, seed, out]:
            found = spikes(simulator, net, int(seed), Path(out))
        case _:
            options.error("these words do not fit")
    return found


if __name__ == "__main__":
    print(json.dumps(from_words()))
