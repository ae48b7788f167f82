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
        for method, function in (("euler", "tanh"), ("rk2", "sigmoid"), ("rk4", "elu"), ("heun", "softplus"))
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
    "VarTrace nearest": {"type": "VarTrace", "n_nearest_spikes": 2, "a_delta": 0.31, "tau_tr": 13.0},
}
CHOSEN = sorted(VARIANTS)[:: choose(quick=4, ci=2, full=1)]


def end(config):
    with loop.computing(spec := load(config)):
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
