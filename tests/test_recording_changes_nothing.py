"""No bit of any component's state depends on what is recorded of it, at XLA's full optimisation.

XLA joins a product and a sum into one rounding where nobody else reads the product. So a record, which reads it, may
change the last digit of all that follows: the engine and the components must not let it.
"""

from __future__ import annotations

import numpy as np
import pytest
from conftest import choose
from test_every_component import CASES, config_for
from test_loop import Memory

from synsim import describe, loop
from synsim.config import load
from synsim.device import computing
from synsim.plan import plan

HEBBIAN = [
    {"optim_type": optimiser, "prior": prior, "prior_form": form, "prior_lmbda": 0.0137, "sign_value": -1.0}
    for optimiser in ("sgd", "momentum", "nag", "adam", "adamw", "rmsprop")
    for prior, form in (("none", "reference"), ("l1l2", "reference"), ("l2", "published"))
]
VARIANTS = {
    **{case: {} for case in CASES},
    **{f"HebbianSynapse {i}": {"type": "HebbianSynapse", "bias_init": 0.1, **each} for i, each in enumerate(HEBBIAN)},
    **{
        f"RateCell {method} {function}": {
            "type": "RateCell",
            "integration_type": method,
            "act_fx": function,
            "prior": "cauchy",
            "tau_m": 7.3,
        }
        for method, function in (
            ("euler", "tanh"),
            ("rk2", "sigmoid"),
            ("rk4", "elu"),
            ("heun", "softplus"),
            ("exponential_euler", "tanh"),
        )
    },
    **{
        f"LIFCell {surrogate} {refractory}": {
            "type": "LIFCell",
            "surrogate_type": surrogate,
            "refractory": refractory,
            "tau_m": 7.3,
            "resist_m": 21.7,
            "v_min": -66.1,
        }
        for surrogate in ("arctan", "triangular", "secant_lif")
        for refractory in ("reference", "published")
    },
    **{
        f"{cell} {method} {coupling}": {"type": cell, "integration_type": method, "coupling": coupling}
        for cell in ("AdExCell", "IzhikevichCell", "FitzhughNagumoCell", "HodgkinHuxleyCell", "RAFCell")
        for method, coupling in (("rk2", "reference"), ("rk4", "published"), ("exponential_euler", "reference"))
    },
    "IzhikevichCell program": {"type": "IzhikevichCell", "integration_type": "two_half_steps", "tau_w": 47.1},
    **{
        f"HopfieldSynapse {rule} {form}": {
            "type": "HopfieldSynapse",
            "update_rule": rule,
            "energy_form": form,
            "contrastive_form": form,
            "beta": 0.37,
            "resist_scale": 1.3,
        }
        for rule in ("delta", "contrastive")
        for form in ("reference", "published")
    },
    **{
        f"QuadLIFCell {form} {method}": {
            "type": "QuadLIFCell",
            "quadratic": form,
            "refractory": form,
            "integration_type": method,
            "tau_m": 103.7,
            "critical_v": 0.37,
            "resist_m": 21.7,
            "v_min": -66.1,
        }
        for form, method in (("reference", "ralston"), ("published", "exponential_euler"))
    },
    **{
        f"SLIFCell {more}": {
            "type": "SLIFCell",
            "tau_m": 7.3,
            "resist_m": 1.7,
            "thr": 0.43,
            "resist_inh": 0.37,
            "refract_time": 2.0,
            "sticky_spikes": True,
            "surrogate_form": "published",
            **setting,
        }
        for more, setting in {"shared": {"rho_b": 0.013}, "own": {"thr_gain": 0.037, "thr_leak": 0.0091}}.items()
    },
    **{
        f"{kernel} {form} {rest}": {
            "type": kernel,
            "g_drive": form,
            "tau_decay": 4.7,
            "g_syn_bar": 0.137,
            "syn_rest": rest,
            "bias_init": 0.1,
            **({"tau_rise": 1.3} if kernel == "DoubleExpSynapse" else {}),
        }
        for kernel in ("AlphaSynapse", "DoubleExpSynapse")
        for form, rest in (("reference", None), ("published", -69.3))
    },
    **{
        f"{kernel} exact {rest}": {
            "type": kernel,
            "integration": "exact",
            "tau_decay": 4.7,
            "g_syn_bar": 0.137,
            "syn_rest": rest,
            "bias_init": 0.1,
            **({} if rest else {"current_form": "published"}),
            **({"tau_rise": 1.3} if kernel == "DoubleExpSynapse" else {}),
            **({} if kernel == "ExponentialSynapse" else {"g_drive": "published"}),
        }
        for kernel, rest in (
            ("ExponentialSynapse", None),
            ("ExponentialSynapse", -69.3),
            ("AlphaSynapse", None),
            ("AlphaSynapse", -69.3),
            ("DoubleExpSynapse", None),
        )
    },
    **{
        f"StaticSynapse {name}": {"type": "StaticSynapse", "resist_scale": 1.37, "bias_init": 0.1, **each}
        for name, each in {
            "late": {"delay": 0.7},
            "late by axons": {"delay": {"type": "uniform", "high": 3.0}},
            "late by synapses": {"delay": {"type": "uniform", "high": 3.0}, "delay_per": "synapse"},
            "tiring": {"short_term": {"U": 0.37, "tau_rec": 47.1, "tau_fac": 13.7}},
            "tiring exactly": {"short_term": {"U": 0.37, "tau_rec": 47.1, "tau_fac": 13.7, "integration": "exact"}},
            "released": {"p_release_mean": 0.6, "delay": 1.3},
        }.items()
    },
    **{
        f"Synapse {rule} {how}": {"type": "Synapse", "connectivity": how, "rule": rule, **settings, **more}
        for how, more in (("sparse", {"fan_out": 2}), ("dense", {}))  # by events where the batch has one row
        for rule, settings in (
            ("trace_stdp", {"A_plus": 0.0137, "A_minus": 0.0091, "w_margin": 0.003}),
            ("hebbian", {"eta": 0.0137, "sign_value": -1.0, "pre_wght": 0.7}),
            ("gerstner", {"eta": 0.0137, "c1_pre": 0.37, "c1_post": -0.13}),
        )
    },
    "ExponentialSynapse -69.3": {
        "type": "ExponentialSynapse",
        "tau_decay": 4.7,
        "g_syn_bar": 0.137,
        "syn_rest": -69.3,
        "bias_init": 0.1,
    },
    "LIFSRM published": {"type": "LIFSRM", "tau_m": 7.3, "thr": -64.1, "spike_response": "published"},
    "RAFSRM published": {"type": "RAFSRM", "tau_v": 7.3, "omega": 1.3, "spike_response": "published"},
    "WTASCell published": {"type": "WTASCell", "tau_m": 7.3, "thr_base": 0.13, "membrane": "published"},
    **{
        f"LeakyNoiseCell {method} {function}": {
            "type": "LeakyNoiseCell",
            "integration_type": method,
            "act_fx": function,
            "noise": noise,
            "tau_x": 7.3,
        }
        for method, function, noise in (("euler", "silu", "reference"), ("rk4", "tanh", "published"))
    },
    "GaussianErrorCell published": {"type": "GaussianErrorCell", "likelihood": "published", "sigma": 1.37},
    "LaplacianErrorCell published": {"type": "LaplacianErrorCell", "likelihood": "published", "scale": 1.37},
    "BernoulliErrorCell logits": {"type": "BernoulliErrorCell", "input_logits": True},
    "LatencyCell normalised": {"type": "LatencyCell", "normalize": True, "num_steps": 37.0, "tau": 7.3},
    "LatencyCell linear": {"type": "LatencyCell", "linearize": True, "normalize": True, "num_steps": 37.0},
    "TTFSCell logarithmic": {"type": "TTFSCell", "latency_mode": "logarithmic"},
    "RetinalGanglionCell ratio": {
        "type": "RetinalGanglionCell",
        "filter_type": "RoG",
        "area_shape": [7, 6],
        "patch_shape": [3, 2],
        "step_shape": [2, 2],
    },
    "GaussianNoise white": {"type": "GaussianNoise", "scaling": "white", "interval": 3.0, "sigma": 1.37},
    "VarTrace nearest": {"type": "VarTrace", "n_nearest_spikes": 2, "a_delta": 0.31, "tau_tr": 13.0},
}
CHOSEN = sorted(VARIANTS)[:: choose(quick=25, ci=4, full=1)]


def end(config):
    with computing(spec := load(config)):
        it = plan(spec)
        state = loop.simulate(it, Memory()).state["c"]
        return {name: np.asarray(value) for name, value in state.items()}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("variant", CHOSEN)
def test_no_bit_depends_on_what_is_recorded(variant, batch, tmp_path):
    given = dict(VARIANTS[variant] or CASES[variant])
    type_name = given.pop("type", variant.split()[0])
    chosen = {**given}
    for name, setting in describe.settings(type_name, chosen).items():
        if (
            setting.role == "param"
            and setting.default == 0.0
            and name not in ("w_bound", "w_decay", "prior_lmbda", "mu")
        ):
            chosen[name] = (
                13.7 if name.startswith("tau") else 0.0137
            )  # a setting that is 0 takes its term out of the program
    config = config_for(type_name, chosen, tmp_path, batch=batch, steps=40)
    everything = end(config)
    assert everything
    for record in (
        {},
        {path: {"every": 7} for path in config["record"]},
        {path: {} for path in [*config["record"]][::2]},
    ):
        some = end({**config, "record": record})
        for name, value in some.items():
            np.testing.assert_array_equal(value, everything[name], err_msg=f"{variant}: {name}")
