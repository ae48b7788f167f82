"""Dense synapses against the reference."""

from __future__ import annotations

from typing import Any

from parity.case import Case, same

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


CASES = [
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
