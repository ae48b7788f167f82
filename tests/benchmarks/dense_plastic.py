"""The dense plastic network, from YAML, beside a hand-written JAX scan and the reference's scan and loop.

784 Poisson inputs -> trace-STDP -> 400 LIF cells, dt 1 ms. Every case runs in a process of its own, once a round, in
turn; times are microseconds a step, warm. Printed are medians, ranges and the ratios of medians.

    python tests/benchmarks/dense_plastic.py [--rounds 5] [--batch 1 32]

The reference (ngclearn, in the extra `test`) is left out where it is not installed. Musts: synsim takes at most 1.15
times the hand-written scan, and is at least 8 times (batch 1) and 5 times (batch 32) faster than the reference's loop.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N_IN, N_OUT = 784, 400
STEPS = {1: 60_000, 32: 24_000}  # three to eight seconds of computing
LOOP_STEPS = {1: 500, 32: 200}
CHUNK = 2_000

CONFIG = """
name: dense-plastic
run: {{dt: 1.0, steps: {steps}, batch: {batch}}}
data:
  image: {{type: file, path: image.npy}}
components:
  x:  {{type: PoissonCell, n_units: 784, target_freq: 63.75}}
  W:  {{type: TraceSTDPSynapse, A_plus: 1e-2, A_minus: 1e-4, weight_init: {{type: uniform, low: 0, high: 0.3}}}}
  z:  {{type: LIFCell, n_units: 400, tau_m: 100, resist_m: 10}}
  tx: {{type: VarTrace, n_units: 784, tau_tr: 20}}
  tz: {{type: VarTrace, n_units: 400, tau_tr: 20}}
wires:
  x.inputs: image
  W.inputs: x.outputs
  z.j: W.outputs
  tx.inputs: x.outputs
  tz.inputs: z.s
  W.preSpike: x.outputs
  W.preTrace: tx.trace
  W.postSpike: z.s
  W.postTrace: tz.trace
record:
  z.s: {{as: events}}
"""


def image(batch):
    import numpy as np

    return (np.random.default_rng(5).random((batch, N_IN)) < 0.25).astype(np.float32)


def synsim_case(batch):
    """From YAML to a finished file; compiling is left out, writing is not."""
    import numpy as np

    import synsim

    took = []
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "image.npy", image(batch))
        config = Path(folder) / "config.yaml"
        config.write_text(CONFIG.format(steps=STEPS[batch], batch=batch))
        with synsim.run(config, out=folder, finished=took.append) as left:
            spikes = float(len(left.spikes("z.s").timestamps))
    return (took[0].seconds - took[0].compile_seconds) / STEPS[batch], spikes / STEPS[batch]


def scan_case(batch):
    """The same equations as one scan, written by hand with the smallest carry."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax import lax, random

    rate = jnp.asarray(image(batch)) * (63.75 / 1000.0)
    trace_decay, theta_decay = float(np.exp(-1 / 20.0)), float(np.exp(-1 / 1e7))

    def step(carry, _):
        key, w, v, refractory, theta, pre, post = carry
        key, draw = random.split(key)
        x = (random.uniform(draw, rate.shape) < rate).astype(jnp.float32)
        v = v + 0.01 * (-65.0 - v + 10.0 * (x @ w) * (refractory >= 5.0))
        s = (v > theta - 52.0).astype(jnp.float32)
        v = v * (1 - s) - 60.0 * s
        refractory = (refractory + 1.0) * (1 - s)
        theta = theta * theta_decay + 0.05 * s
        pre = pre * trace_decay * (1 - x) + x
        post = post * trace_decay * (1 - s) + s
        w = jnp.clip(w + pre.T @ (s * 1e-2) - x.T @ (post * 1e-4), 0.0, 1.0)
        return (key, w, v, refractory, theta, pre, post), s

    chunk = jax.jit(lambda carry: lax.scan(step, carry, length=CHUNK))
    out = jnp.zeros((batch, N_OUT))
    carry = (
        random.key(0),
        random.uniform(random.key(1), (N_IN, N_OUT), maxval=0.3),
        out - 65.0,
        out + 5.0,
        out,
        jnp.zeros((batch, N_IN)),
        out,
    )
    jax.block_until_ready(chunk(carry))
    chunks, spikes = STEPS[batch] // CHUNK, 0.0
    began = time.perf_counter()
    for _ in range(chunks):
        carry, s = chunk(carry)
        spikes += float(s.sum())
    jax.block_until_ready(carry)
    return (time.perf_counter() - began) / (chunks * CHUNK), spikes / (chunks * CHUNK)


def reference_case(batch, loop):
    """ngclearn: its documented loop of `process.run`, or its process under one jitted scan."""
    import logging

    logging.disable(logging.CRITICAL)
    import jax
    import jax.numpy as jnp
    from ngclearn import Context
    from ngclearn.components.input_encoders.poissonCell import PoissonCell
    from ngclearn.components.neurons.spiking.LIFCell import LIFCell
    from ngclearn.components.other.varTrace import VarTrace
    from ngclearn.components.synapses.hebbian.traceSTDPSynapse import TraceSTDPSynapse
    from ngclearn.utils import MethodProcess
    from ngclearn.utils.distribution_generator import DistributionGenerator
    from ngcsimlib.global_state import stateManager

    keys = jax.random.split(jax.random.PRNGKey(0), 5)
    with Context("bench"):
        x = PoissonCell("x", n_units=N_IN, target_freq=63.75, batch_size=batch, key=keys[0])
        w = TraceSTDPSynapse(
            "W",
            shape=(N_IN, N_OUT),
            A_plus=1e-2,
            A_minus=1e-4,
            batch_size=batch,
            key=keys[1],
            weight_init=DistributionGenerator.uniform(0.0, 0.3),
        )
        z = LIFCell("z", n_units=N_OUT, tau_m=100.0, resist_m=10.0, key=keys[2])
        z.batch_size = batch
        tx = VarTrace("tx", n_units=N_IN, tau_tr=20.0, a_delta=0.0, batch_size=batch, key=keys[3])
        tz = VarTrace("tz", n_units=N_OUT, tau_tr=20.0, a_delta=0.0, batch_size=batch, key=keys[4])
        x.outputs >> w.inputs
        w.outputs >> z.j
        x.outputs >> tx.inputs
        z.s >> tz.inputs
        tx.trace >> w.preTrace
        tz.trace >> w.postTrace
        x.outputs >> w.preSpike
        z.s >> w.postSpike
        process = (
            MethodProcess(name="step")
            >> x.advance_state
            >> w.advance_state
            >> z.advance_state
            >> tx.advance_state
            >> tz.advance_state
            >> w.evolve
        )
        process.watch(z.s)
    rest = jnp.zeros((batch, N_OUT))
    for compartment, value in (
        (z.v, -65.0),
        (z.rfr, 5.0),
        (z.thr_theta, 0.0),
        (z.tols, 0.0),
        (z.s, 0.0),
        (z.s_raw, 0.0),
        (z.surrogate, 1.0),
        (z.v_thr, -52.0),
    ):
        compartment.set(rest + value)
    x.inputs.set(jnp.asarray(image(batch)))
    if loop:
        process.run(t=0.0, dt=1.0)
        jax.block_until_ready(z.s.get())
        steps, spikes = LOOP_STEPS[batch], 0.0
        began = time.perf_counter()
        for t in range(steps):
            _, out = process.run(t=float(t), dt=1.0)
            spikes = spikes + out[0]
        total = float(jnp.sum(spikes))
        return (time.perf_counter() - began) / steps, total / steps
    rows = jnp.array(process.pack_rows(CHUNK, t=lambda i: i * 1.0, dt=1.0))
    step = process.run.compiled
    chunk = jax.jit(lambda state, rows: jax.lax.scan(step, state, rows))
    state, _ = chunk(stateManager.state, rows)
    jax.block_until_ready(state)
    chunks, spikes = STEPS[batch] // CHUNK, 0.0
    began = time.perf_counter()
    for _ in range(chunks):
        state, out = chunk(state, rows)
        spikes += float(jnp.sum(out[0]))
    return (time.perf_counter() - began) / (chunks * CHUNK), spikes / (chunks * CHUNK)


CASES = {
    "synsim": synsim_case,
    "scan by hand": scan_case,
    "reference scan": lambda batch: reference_case(batch, loop=False),
    "reference loop": lambda batch: reference_case(batch, loop=True),
}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--batch", type=int, nargs="+", default=[1, 32], choices=sorted(STEPS))
    options.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.case:
        seconds, spikes = CASES[given.case](given.batch[0])
        print(json.dumps([seconds * 1e6, spikes]))
        return
    cases = [name for name in CASES if "reference" not in name or importlib.util.find_spec("ngclearn")]
    for batch in given.batch:
        times = {name: [] for name in cases}
        spikes = {}
        for _ in range(given.rounds):
            for name in cases:
                words = [sys.executable, __file__, "--case", name, "--batch", str(batch)]
                told = subprocess.run(words, capture_output=True, text=True, timeout=600)
                if told.returncode:
                    sys.exit(told.stderr)
                micro, spikes[name] = json.loads(told.stdout.splitlines()[-1])
                times[name].append(micro)
        own = statistics.median(times["synsim"])
        print(f"batch {batch}, {given.rounds} rounds in turn")
        for name, values in times.items():
            middle = statistics.median(values)
            print(
                f"  {name:<15} {middle:9.1f} [{min(values):.1f}-{max(values):.1f}] us/step   "
                f"{middle / own:6.2f} of synsim   {spikes[name]:.2f} spikes/step",
                flush=True,
            )


if __name__ == "__main__":
    main()
