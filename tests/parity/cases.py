"""What is compared with the reference, as plain data: no synsim and no ngclearn in this file.

Both sides read it: the driver in the reference's Python, the tests in ours. An array is described by how it is
drawn and by its shape, and drawn by NumPy from a seed that is the crc32 of what it is for, so both sides have it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Drawn = tuple[tuple, tuple[int, ...]]
"""(how, shape): how is ("uniform", low, high), ("normal", mean, std), ("spikes", p) or ("values", ...)."""


@dataclass(frozen=True)
class Case:
    """One component, run for `steps` steps by the same methods in both programs."""

    name: str
    component: str
    settings: dict[str, Any]  # the same in both
    inputs: dict[str, Drawn]  # new values in every step; shapes without the batch axis
    compare: dict[str, str]  # compartment here: compartment there
    methods: tuple[str, ...] = ("advance",)
    batch: int = 1
    steps: int = 60
    dt: float = 1.0
    ours: dict[str, Any] = field(default_factory=dict)  # settings that are written differently
    theirs: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Drawn] = field(default_factory=dict)  # settings that are arrays
    start: dict[str, Drawn] = field(default_factory=dict)  # states set before the first step
    spiking: tuple[str, ...] = ()  # at least 10 spikes in each of these
    feed: dict[str, str] = field(default_factory=dict)  # inlets here that read another input
    restore: dict[str, float] = field(default_factory=dict)  # compartments there put back after every step


def drawn(what: str, how: tuple, shape: tuple[int, ...]) -> np.ndarray:
    """The array that `what` stands for."""
    rng = np.random.default_rng(zlib.crc32(what.encode()))
    kind, *numbers = how
    if kind == "uniform":
        return rng.uniform(*numbers, size=shape).astype(np.float32)
    if kind == "normal":
        return rng.normal(*numbers, size=shape).astype(np.float32)
    if kind == "spikes":
        return (rng.uniform(size=shape) < numbers[0]).astype(np.float32)
    if kind == "values":
        return np.asarray(numbers[0], dtype=np.float32).reshape(shape)
    raise ValueError(f"unknown kind of array {kind!r}")


def inputs_of(case: Case) -> dict[str, np.ndarray]:
    """The inputs of all steps: (steps, batch, *shape) by compartment."""
    return {
        name: drawn(f"{case.name}/{name}", how, (case.steps, case.batch, *shape))
        for name, (how, shape) in case.inputs.items()
    }


def arrays_of(case: Case) -> dict[str, np.ndarray]:
    """The settings that are arrays."""
    return {name: drawn(f"{case.name}/{name}", how, shape) for name, (how, shape) in case.arrays.items()}


def starts_of(case: Case) -> dict[str, np.ndarray]:
    """The states that are set before the first step; a mask has already taken its weights away."""
    found = {name: drawn(f"{case.name}/{name}", how, shape) for name, (how, shape) in case.start.items()}
    for name, mask in arrays_of(case).items():
        if name in ("mask", "weight_mask"):
            found["weights"] = found["weights"] * mask
    return found


def seed_of(case: Case) -> int:
    """The seed of the component's key."""
    return zlib.crc32(case.name.encode()) & 0x7FFFFFFF


def same(*names: str) -> dict[str, str]:
    """Compartments that have the same name in both."""
    return {name: name for name in names}


# --- spiking cells and encoders ---------------------------------------------------------------------------------

LIF = dict(n_units=7, tau_m=10.0, resist_m=1.3, refract_time=2.0, tau_theta=200.0, theta_plus=0.8)
LIF_STATES = same("v", "rfr", "thr_theta", "tols", "s", "s_raw", "v_thr", "surrogate")
STRONG = {"j": (("uniform", -5.0, 60.0), (7,))}


def lif(name: str, **rest: Any) -> Case:
    settings = {**LIF, **rest.pop("settings", {})}
    spread = {"inputs": STRONG, "compare": LIF_STATES, "spiking": ("s",), **rest}
    return Case(f"lif_{name}", "LIFCell", settings, **spread)


CELLS = [
    lif("plain"),
    lif("batch", batch=3),
    lif("midpoint", batch=3, settings=dict(integration_type="midpoint")),
    lif("half_step", batch=3, dt=0.5, steps=120),
    lif("floor", batch=3, settings=dict(v_min=-64.0), inputs={"j": (("uniform", -40.0, 60.0), (7,))}),
    lif("pure_integrator", settings=dict(conduct_leak=0.0, thr=-50.0, v_rest=-66.0, v_reset=-70.0)),
    lif("frozen_threshold", batch=3, settings=dict(tau_theta=0.0), compare=same("v", "rfr", "tols", "s", "surrogate")),
    lif("no_refractory", settings=dict(refract_time=0.0), compare=same("v", "thr_theta", "tols", "s", "v_thr")),
    lif("one_spike", batch=3, settings=dict(one_spike=True)),
    lif(
        "max_one_spike",
        batch=3,
        settings=dict(max_one_spike=True, refract_time=0.0),
        inputs={"j": (("uniform", 0.0, 260.0), (7,))},
        compare=same("v", "thr_theta", "tols", "s", "s_raw", "v_thr"),
    ),
    lif("image", ours=dict(n_units=(7,)), steps=50),
    Case(
        "poisson",
        "PoissonCell",
        dict(n_units=9, target_freq=300.0),
        {"inputs": (("uniform", 0.0, 1.0), (9,))},
        same("outputs", "tols"),
        batch=3,
        spiking=("outputs",),
    ),
    Case(
        "poisson_half_step",
        "PoissonCell",
        dict(n_units=9),
        {"inputs": (("uniform", 0.0, 4.0), (9,))},
        same("outputs", "tols"),
        dt=0.5,
        steps=200,
        spiking=("outputs",),
    ),
    Case(
        "bernoulli",
        "BernoulliCell",
        dict(n_units=9),
        {"inputs": (("uniform", 0.0, 0.6), (9,))},
        same("outputs", "tols"),
        batch=3,
        spiking=("outputs",),
    ),
]


# --- traces -----------------------------------------------------------------------------------------------------


def trace(name: str, batch: int = 3, **settings: Any) -> Case:
    settings = {"n_units": 8, "tau_tr": 15.0, "a_delta": 0.0, **settings}
    return Case(
        f"trace_{name}",
        "VarTrace",
        settings,
        {"inputs": (("spikes", 0.15), (8,))},
        same("trace", "outputs"),
        batch=batch,
    )


TRACES = [
    trace("set", batch=1),
    trace("set_scaled", P_scale=0.7, gamma_tr=0.95),
    trace("add", a_delta=0.3),
    trace("add_linear", a_delta=0.3, decay_type="lin", gamma_tr=0.9),
    trace("set_linear", decay_type="lin", batch=1),
    trace("step", decay_type="step"),
    trace("nearest", a_delta=0.4, n_nearest_spikes=2),
    trace("nearest_linear", a_delta=1.0, n_nearest_spikes=1, decay_type="lin", batch=1),
]


# --- rate and error cells ---------------------------------------------------------------------------------------

CURRENTS = {"j": (("normal", 0.4, 1.5), (9,)), "j_td": (("normal", 0.0, 0.6), (9,))}
RATE_STATES = {"z": "z", "zF": "zF", "j_mod": "j"}


def rate(name: str, batch: int = 3, **rest: Any) -> Case:
    settings = {"n_units": 9, "tau_m": 8.0, "resist_scale": 1.2, "output_scale": 0.8, **rest.pop("settings", {})}
    spread = {"inputs": CURRENTS, "compare": RATE_STATES, "batch": batch, **rest}
    return Case(f"rate_{name}", "RateCell", settings, **spread)


SMOOTH = ("identity", "relu", "lrelu", "relu6", "elu", "tanh", "sigmoid", "softplus", "silu", "gelu", "telu")
STEPS = ("bkwta", "unit_threshold", "heaviside")


def prior(name: str, strength: float) -> dict[str, dict[str, Any]]:
    return dict(ours=dict(prior=name, prior_lmbda=strength), theirs=dict(prior=(name, strength)))


RATES = [
    *(rate(name, settings=dict(act_fx=name), start={"z": (("normal", 0.5, 1.0), (3, 9))}) for name in SMOOTH),
    rate("one_row", batch=1, settings=dict(act_fx="relu")),
    *(rate(name, settings=dict(act_fx=name)) for name in STEPS),
    rate(
        "sine",
        settings=dict(act_fx="sine", tau_m=80.0),
        ours=dict(omega_0=30.0),
        theirs=dict(omega_0=30.0),
        inputs={"j": (("normal", 0.1, 0.5), (9,)), "j_td": (("normal", 0.2, 0.2), (9,))},
        steps=50,
    ),
    rate("softmax_stateless", settings=dict(act_fx="softmax", tau_m=0.0)),
    rate("stateless", settings=dict(act_fx="tanh", is_stateful=False), batch=1),
    *(
        rate(f"prior_{name}", settings=dict(act_fx="tanh"), **prior(name, 0.6))
        for name in ("gaussian", "laplacian", "cauchy", "exp")
    ),
    rate(
        "soft_threshold",
        settings=dict(act_fx="tanh"),
        ours=dict(threshold="soft_threshold", thr_lmbda=0.05),
        theirs=dict(threshold=("soft_threshold", 0.05)),
    ),
    rate("midpoint", settings=dict(act_fx="elu", integration_type="rk2"), **prior("cauchy", 0.9)),
    # the reference's "heun" runs the classical fourth-order method
    rate(
        "rk4",
        settings=dict(act_fx="tanh"),
        ours=dict(prior="exp", prior_lmbda=0.9, integration_type="rk4"),
        theirs=dict(prior=("exp", 0.9), integration_type="heun"),
    ),
    rate(
        "image",
        settings=dict(act_fx="tanh"),
        ours=dict(n_units=(3, 3, 2)),
        theirs=dict(n_units=9, shape=(3, 3, 2)),
        inputs={"j": (("normal", 0.4, 1.5), (3, 3, 2)), "j_td": (("normal", 0.0, 0.6), (3, 3, 2))},
    ),
]

ERROR_INPUTS = {"mu": (("normal", 0.0, 1.0), (6,)), "target": (("normal", 0.5, 1.0), (6,))}
GATES = {"modulator": (("uniform", 0.0, 2.0), (6,)), "mask": (("spikes", 0.7), (6,))}

ERRORS = [
    Case("error", "GaussianErrorCell", dict(n_units=6, sigma=0.7), ERROR_INPUTS, same("dmu", "dtarget", "L")),
    Case(
        "error_gated",
        "GaussianErrorCell",
        dict(n_units=6, sigma=1.6),
        {**ERROR_INPUTS, **GATES},
        same("dmu", "dtarget", "L"),
        batch=3,
    ),
    Case(
        "error_by_unit",
        "GaussianErrorCell",
        dict(n_units=6),
        ERROR_INPUTS,
        same("dmu", "dtarget"),
        batch=3,
        arrays={"sigma": (("uniform", 0.5, 2.0), (6,))},
    ),
]


# --- dense synapses ---------------------------------------------------------------------------------------------

SHAPE = (6, 4)
DENSE_INPUTS = {"inputs": (("uniform", 0.0, 1.0), (6,))}
FACTORS = {"pre": (("uniform", -0.2, 1.0), (6,)), "post": (("normal", 0.1, 0.6), (4,))}
WEIGHTS = {"weights": (("uniform", -0.7, 0.7), SHAPE)}
LEARNED = same("outputs", "weights", "dWeights")
LEARN = ("advance", "evolve")
CONSTANT_BIAS = dict(bias_init=("constant", 0.3))


def hebbian(name: str, batch: int = 3, biased: bool = False, **rest: Any) -> Case:
    settings = {"shape": SHAPE, "eta": 0.03, **rest.pop("settings", {}), **(CONSTANT_BIAS if biased else {})}
    compare = {**LEARNED, **(same("biases", "dBiases") if biased else {})}
    spread = {"inputs": {**DENSE_INPUTS, **FACTORS}, "start": WEIGHTS, "compare": compare, "methods": LEARN, **rest}
    return Case(f"hebbian_{name}", "HebbianSynapse", settings, batch=batch, **spread)


def hebbian_prior(name: str, strength: float, ratio: float | None = None) -> Case:
    ours = dict(prior=name, prior_lmbda=strength, **({} if ratio is None else dict(l1_ratio=ratio)))
    theirs = dict(prior=(name, strength if ratio is None else (strength, ratio)))
    return hebbian(f"prior_{name}", settings=dict(sign_value=-1.0), ours=ours, theirs=theirs)


TRACED = {
    "preSpike": (("spikes", 0.2), (6,)),
    "preTrace": (("uniform", 0.0, 1.0), (6,)),
    "postSpike": (("spikes", 0.2), (4,)),
    "postTrace": (("uniform", 0.0, 1.0), (4,)),
}


def stdp(name: str, batch: int = 3, **rest: Any) -> Case:
    settings = {"shape": SHAPE, "A_plus": 0.02, "A_minus": 0.015, **rest.pop("settings", {})}
    spread = {"start": {"weights": (("uniform", 0.1, 0.8), SHAPE)}, "inputs": {**DENSE_INPUTS, **TRACED}, **rest}
    return Case(f"stdp_{name}", "TraceSTDPSynapse", settings, compare=LEARNED, methods=LEARN, batch=batch, **spread)


DENSE = [
    Case(
        "dense",
        "DenseSynapse",
        dict(shape=SHAPE, **CONSTANT_BIAS),
        DENSE_INPUTS,
        same("outputs"),
        start=WEIGHTS,
        batch=3,
        ours=dict(resist_scale=1.7),
        theirs=dict(g_conduct_factor=1.7),
    ),
    Case(
        "dense_masked",
        "DenseSynapse",
        dict(shape=SHAPE),
        DENSE_INPUTS,
        same("outputs"),
        start=WEIGHTS,
        arrays={"mask": (("spikes", 0.6), SHAPE)},
    ),
    Case(
        "static",
        "StaticSynapse",
        dict(shape=SHAPE, g_conduct_factor=0.6),
        DENSE_INPUTS,
        same("outputs"),
        start=WEIGHTS,
        batch=3,
    ),
    hebbian("plain", batch=1),
    hebbian("shrinking"),
    hebbian("growing", settings=dict(sign_value=-1.0), ours=dict(resist_scale=1.7), theirs=dict(g_conduct_factor=1.7)),
    hebbian("unbounded", settings=dict(sign_value=-1.0, w_bound=0.0)),
    hebbian(
        "nonnegative",
        settings=dict(sign_value=-1.0, w_bound=0.8, is_nonnegative=True),
        start={"weights": (("uniform", 0.0, 0.8), SHAPE)},
    ),
    hebbian("weighted", biased=True, settings=dict(sign_value=-1.0, pre_wght=0.5, post_wght=1.6)),
    hebbian("bias_sgd", batch=1, biased=True, settings=dict(sign_value=-1.0, optim_type="sgd")),
    hebbian("bias_adam", biased=True, settings=dict(sign_value=-1.0, optim_type="adam", eta=0.01)),
    hebbian("bias_nag", biased=True, settings=dict(sign_value=-1.0, optim_type="nag", eta=0.005)),
    hebbian("adam", settings=dict(optim_type="adam", eta=0.01)),
    hebbian("nag", batch=1, settings=dict(optim_type="nag", eta=0.01)),
    hebbian("masked", settings=dict(sign_value=-1.0), arrays={"mask": (("spikes", 0.6), SHAPE)}),
    hebbian("prior_at_plus_one", ours=dict(prior="l2", prior_lmbda=0.1), theirs=dict(prior=("l2", 0.1))),
    hebbian_prior("constant", 0.0),
    *(hebbian_prior(name, 0.2) for name in ("l2", "ridge", "gaussian", "l1", "lasso", "laplacian")),
    *(hebbian_prior(name, 0.3, 0.4) for name in ("l1l2", "elastic_net")),
    stdp("plain", batch=1),
    stdp("batch", settings=dict(eta=0.8)),
    stdp("target", settings=dict(pretrace_target=0.4)),
    stdp("power", settings=dict(mu=0.7, w_bound=0.9, A_plus=0.03, A_minus=0.03)),
    stdp("power_one", settings=dict(mu=1.0), batch=1),
    stdp("decay", settings=dict(tau_w=200.0)),
    stdp("potentiation_only", settings=dict(A_minus=0.0, w_bound=2.0)),
    stdp("masked", arrays={"weight_mask": (("spikes", 0.6), SHAPE)}),
]


# --- convolutional synapses -------------------------------------------------------------------------------------

FILTER = (3, 3, 2, 4)
IMAGE = dict(shape=FILTER, x_shape=(6, 6))
SAME_PADDING = dict(stride=1, padding="SAME")
FILTERS = {"weights": (("uniform", 0.1, 0.6), FILTER)}
SEEN = {"inputs": (("uniform", 0.0, 1.0), (6, 6, 2))}
IMAGE_FACTORS = {"pre": (("uniform", -0.2, 1.0), (6, 6, 2)), "post": (("normal", 0.1, 0.6), (6, 6, 4))}
IMAGE_TRACES = {
    "preSpike": (("spikes", 0.2), (6, 6, 2)),
    "preTrace": (("uniform", 0.0, 1.0), (6, 6, 2)),
    "postSpike": (("spikes", 0.2), (6, 6, 4)),
    "postTrace": (("uniform", 0.0, 1.0), (6, 6, 4)),
}


def hebbian_conv(name: str, batch: int = 3, **settings: Any) -> Case:
    # without biases the reference's evolve leaves them broken, so they are put back and its advance is left out
    return Case(
        f"hebbian_conv_{name}",
        "HebbianConvSynapse",
        {**IMAGE, "eta": 0.002, **settings},
        IMAGE_FACTORS,
        same("weights", "dWeights", "dInputs"),
        ("evolve", "backtransmit"),
        batch,
        50,
        theirs=SAME_PADDING,
        start=FILTERS,
        feed={"back": "post"},
        restore={"biases": 0.0},
    )


def stdp_conv(name: str, batch: int = 3, **settings: Any) -> Case:
    settings = {**IMAGE, "A_plus": 0.02, "A_minus": 0.015, "eta": 0.02, **settings}
    return Case(
        f"stdp_conv_{name}",
        "TraceSTDPConvSynapse",
        settings,
        {**SEEN, **IMAGE_TRACES},
        same("outputs", "weights", "dWeights", "dInputs"),
        ("advance", "evolve", "backtransmit"),
        batch,
        50,
        theirs=SAME_PADDING,
        start=FILTERS,
        feed={"back": "postSpike"},
    )


CONV = [
    Case(
        "conv",
        "ConvSynapse",
        IMAGE,
        SEEN,
        same("outputs"),
        batch=3,
        steps=50,
        start=FILTERS,
        ours=dict(resist_scale=1.7),
        theirs=dict(g_conduct_factor=1.7, **SAME_PADDING),
    ),
    Case(
        "conv_even_kernel",
        "ConvSynapse",
        dict(shape=(2, 2, 2, 4), x_shape=(5, 5)),
        {"inputs": (("uniform", 0.0, 1.0), (5, 5, 2))},
        same("outputs"),
        steps=50,
        theirs=SAME_PADDING,
        start={"weights": (("uniform", 0.1, 0.6), (2, 2, 2, 4))},
    ),
    hebbian_conv("plain", batch=1, sign_value=-1.0),
    hebbian_conv("bounded", w_bound=0.8, sign_value=-1.0),
    hebbian_conv("nonnegative", w_bound=0.8, is_nonnegative=True),
    hebbian_conv("adam", optim_type="adam", sign_value=-1.0),
    hebbian_conv("nag", optim_type="nag"),
    stdp_conv("plain", batch=1),
    stdp_conv("bounded", w_bound=1.0, pretrace_target=0.3),
    stdp_conv("decay", w_decay=0.01),
]

CASES = {case.name: case for case in (*CELLS, *TRACES, *RATES, *ERRORS, *DENSE, *CONV)}


# --- start values: type, settings, shape; drawn there by the reference's generator of the same name -------------

INITIALISERS = {
    "constant": ("constant", dict(value=0.4), (4, 3)),
    "uniform": ("uniform", dict(low=-0.2, high=0.7), (5, 3)),
    "gaussian": ("gaussian", dict(mean=0.3, std=1.4), (5, 3)),
    "uniform_bounded": ("uniform", dict(low=-1.0, high=1.0, amin=-0.3, amax=0.6), (6, 4)),
    "uniform_lower": ("uniform", dict(low=0.1, high=1.0, lower_triangle=True), (5, 5)),
    "uniform_upper": ("uniform", dict(low=0.1, high=1.0, upper_triangle=True), (5, 4)),
    "uniform_hollow": ("uniform", dict(low=0.1, high=1.0, hollow=True), (5, 5)),
    "gaussian_eye": ("gaussian", dict(eye=True), (5, 4)),
    "uniform_columns": ("uniform", dict(low=0.1, high=1.0, col_mask=3), (6, 7)),
    "filters": ("uniform", dict(low=0.1, high=1.0), (3, 3, 2, 4)),
}
