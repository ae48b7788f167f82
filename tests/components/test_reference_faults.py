"""Faults of the reference that touch the synapses here, each as fixed or as kept, by its number in the list.

Those of cells are beside their cells: 11 and 28, 29 in test_rate_cell and test_gaussian_error_cell, 11 also in
test_slif_cell, 15 in test_gaussian_error_cell, test_slif_cell and test_wtas_cell, 16 in test_if_cell, 31 in
test_lif_cell and test_quad_lif_cell, 30 in test_initialisers.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from stepping import call, run, starts, synapse, unwired

from synsim import catalogue, describe
from synsim.component import Component, Now
from synsim.components.lif_cell import LIFCell
from synsim.components.synapses.presets import PRESETS
from synsim.initialisers import Constant

NOW = Now(0.0, 0, 1.0, jax.random.key(0))
RNG = np.random.default_rng(0)


def hebbian(w, pre=1.0, post=1.0, shape=(1, 1), steps=1, **settings):
    """The weights after some updates from `w`, all pre and all post alike."""
    one = synapse("HebbianSynapse", shape=shape, **settings)
    start = {"weights": np.full(shape, w)}
    return run(one, {"pre": pre, "post": post}, steps, methods=["evolve"], start=start)["weights"][-1]


def stdp(w, **settings):
    settings = {"A_plus": 1.0, "A_minus": 1.0, "eta": 0.1, **settings}
    one = synapse("TraceSTDPSynapse", shape=(1, 1), **settings)
    inputs = {"preSpike": 0.0, "preTrace": 1.0, "postSpike": 1.0, "postTrace": 0.0}
    return run(one, inputs, 1, methods=["evolve"], start={"weights": [[w]]})["weights"].item()


def test_6_decay_and_elastic_net_run():
    assert hebbian(0.5, 0.0, 0.0, eta=0.1, sign_value=-1.0, w_decay=0.2).item() == pytest.approx(0.5 * 0.98)
    elastic = dict(prior="l1l2", prior_lmbda=0.2, l1_ratio=0.25)
    expected = 0.5 - 0.1 * 0.2 * (0.25 + 0.75 * 0.5 / 2)
    assert hebbian(0.5, 0.0, 0.0, eta=0.1, sign_value=-1.0, **elastic).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["HebbianConvSynapse", "HebbianDeconvSynapse"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_8_one_bias_for_each_output_channel(channels, name):
    one = synapse(name, shape=(3, 3, 2, channels), x_shape=(6, 4), eta=0.1, bias_init=Constant(value=0.3))
    pre, post = RNG.normal(size=(1, 3, 6, 4, 2)), RNG.normal(size=(1, 3, 6, 4, channels))
    found = run(one, {"inputs": pre, "pre": pre, "post": post}, 1, batch=3, methods=["advance", "evolve"])
    assert found["outputs"].shape == (1, 3, 6, 4, channels)
    np.testing.assert_allclose(found["dBiases"][0], post[0].sum((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(found["biases"][0], 0.3 - 0.1 * post[0].sum((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("name", ["HebbianConvSynapse", "HebbianDeconvSynapse"])
def test_9_filters_learn_without_biases(name):
    one = synapse(name, shape=(3, 3, 2, 4), x_shape=(5, 5), eta=0.001)
    found = run(one, {"inputs": 1.0, "pre": 1.0, "post": 1.0}, 3, methods=["advance", "evolve", "advance"])
    assert np.isfinite(found["outputs"]).all() and "biases" not in found


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", PRESETS)
def test_10_36_every_array_keeps_its_shape_through_a_fresh_scan(name, batch):
    """`run` is a scan from a fresh start, and asserts shape and dtype after every call."""
    settings = dict(shape=(3, 3, 2, 4), x_shape=(5, 5)) if "conv" in name.lower() else dict(shape=(4, 2))
    if "Trace" in name:
        settings |= dict(A_plus=0.1, A_minus=0.1)
    else:
        settings |= dict(bias_init=Constant(value=0.1))
    kernel = dict(tau_decay=5.0, tau_rise=1.0, g_syn_bar=0.1, syn_rest=-70.0)
    settings |= {key: value for key, value in kernel.items() if key in describe.settings(name)}
    one = synapse(name, **settings)
    found = run(one, {}, 4, batch=batch, methods=one.methods)
    assert all(np.isfinite(values).all() for values in found.values())


def test_11_12_inlets_are_no_states_so_nothing_can_write_or_reset_them():
    for name, kind in catalogue.types().items():
        if isinstance(kind, type) and issubclass(kind, Component):
            inlets = {key for key, c in kind.declared.items() if c.kind == "inlet"}
            assert not any(kind.declared[key].learned for key in inlets), name
    cell = LIFCell(n_units=2, tau_m=10.0)
    after = call(cell, "reset", starts(cell, 1), unwired(cell, 1), NOW)
    assert "j" not in after


def test_14_a_batch_is_no_setting():
    for batch in (1, 3):
        found = run(LIFCell(n_units=4, tau_m=10.0), {"j": 60.0}, 5, batch=batch)
        assert found["v"].shape == (5, batch, 4)
    assert "batch_size" not in LIFCell.annotations()


def test_22_sign_as_in_the_reference_plus_one_descends():
    assert hebbian(1.0, eta=0.1, w_bound=0.0).item() == pytest.approx(0.9)
    assert hebbian(1.0, eta=0.1, w_bound=0.0, sign_value=-1.0).item() == pytest.approx(1.1)


def test_23_decay_kept_by_default_and_published_as_an_option():
    settings = dict(eta=0.1, w_bound=0.0, prior="l2", prior_lmbda=0.5)
    assert hebbian(1.0, 0.0, 0.0, **settings).item() == pytest.approx(1.05)
    assert hebbian(1.0, 0.0, 0.0, **settings, sign_value=-1.0).item() == pytest.approx(0.95)
    for sign in (-1.0, 1.0):
        shrinking = dict(settings, prior_form="published", sign_value=sign)
        assert hebbian(1.0, 0.0, 0.0, **shrinking).item() == pytest.approx(0.95)


@pytest.mark.parametrize("name", ["HebbianConvSynapse", "HebbianDeconvSynapse"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_23_decay_of_filters_shrinks_them(sign, name):
    one = synapse(name, shape=(3, 3, 1, 1), x_shape=(4, 4), eta=0.1, w_decay=0.5, sign_value=sign)
    found = run(one, {"pre": 0.0, "post": 0.0}, 1, methods=["evolve"], start={"weights": np.ones((3, 3, 1, 1))})
    np.testing.assert_allclose(found["weights"], 0.95)


@pytest.mark.parametrize("kind", ["", "Conv", "Deconv"])
@pytest.mark.parametrize("rule", ["Hebbian", "TraceSTDP"])
def test_24_what_a_mask_takes_away_stays_away(rule, kind):
    shape = (3, 3, 2, 4) if kind else (6, 5)
    mask = (np.arange(np.prod(shape)) % 3 > 0).reshape(shape).astype(np.float32)
    settings = dict(shape=shape, mask=mask, eta=0.05)
    if kind:
        settings["x_shape"] = (4, 4)
    if rule == "TraceSTDP":
        settings |= dict(A_plus=0.5, A_minus=0.1)
    one = synapse(f"{rule}{kind}Synapse", **settings)
    start = starts(one, 2)["weights"]
    signals = set(one.compartments) & {"pre", "post", "preSpike", "preTrace", "postSpike", "postTrace"}
    sizes = {signal: one.sizes()[one.compartments[signal].size] for signal in sorted(signals)}
    drive = {signal: RNG.uniform(size=(4, 2, *size)) for signal, size in sizes.items()}
    found = run(one, drive, 4, batch=2, methods=["evolve"])["weights"][-1]
    assert (np.asarray(start)[mask == 0] == 0.0).all() and (np.asarray(start)[mask == 1] > 0.0).all()
    assert (found[mask == 0] == 0.0).all()
    assert (found[mask == 1] != np.asarray(start)[mask == 1]).mean() > 0.8


def test_25_bounds_as_in_the_reference_but_nonnegative_without_one_too():
    settings = dict(eta=0.5, sign_value=1.0, is_nonnegative=True)
    assert hebbian(0.1, w_bound=0.0, **settings).item() == 0.0  # the reference gives -.4
    assert hebbian(1.5, eta=0.1, sign_value=-1.0).item() == pytest.approx(1.0)  # clipped to the default bound of 1
    outside = synapse("HebbianSynapse", shape=(1, 1), sign_value=-1.0)
    found = run(outside, {"pre": 1.0, "post": 1.0}, 1, methods=["evolve"], start={"weights": [[1.5]]})
    assert found["dWeights"].item() == pytest.approx(0.5)  # beyond the bound the product turns its sign


def test_25_a_trace_rule_without_bound_is_unbounded():
    assert stdp(0.95) == pytest.approx(1.0)
    assert stdp(0.95, w_bound=0.0) == pytest.approx(1.05)  # the reference gives 0
    assert stdp(0.95, w_bound=0.0, A_plus=-0.0, pretrace_target=0.0) == pytest.approx(0.95)


def test_26_rows_are_summed():
    for batch in (1, 3):
        one = synapse("HebbianSynapse", shape=(1, 1), w_bound=0.0)
        found = run(one, {"pre": 0.5, "post": 0.5}, 1, batch=batch, methods=["evolve"])
        assert found["dWeights"].item() == pytest.approx(0.25 * batch)


def test_39_start_values_follow_the_key_alone():
    one = synapse("DenseSynapse", shape=(5, 4), bias_init=Constant(value=0.0))
    np.testing.assert_array_equal(starts(one, 1, key=3)["weights"], starts(one, 1, key=3)["weights"])
    assert not np.array_equal(starts(one, 1, key=3)["weights"], starts(one, 1, key=4)["weights"])
    w = np.asarray(starts(one, 1)["weights"])
    assert w.min() >= 0.025 and w.max() < 0.8


def test_40_settings_are_read_when_they_are_used():
    """A setting is a leaf: another value needs no other object graph and no other program."""
    one = synapse("HebbianSynapse", shape=(1, 1), w_bound=0.0, eta=0.0)
    leaves, tree = jax.tree.flatten(one)
    assert len(leaves) >= 8
    values = starts(one, 1) | {"weights": jnp.ones((1, 1))}
    fed = unwired(one, 1) | {"pre": jnp.ones((1, 1)), "post": jnp.ones((1, 1))}

    def learned(eta):
        other = synapse("HebbianSynapse", shape=(1, 1), w_bound=0.0, eta=eta)
        return call(other, "evolve", values, fed, NOW)["weights"]

    np.testing.assert_allclose(jax.vmap(learned)(jnp.asarray([0.1, 0.2])).ravel(), [0.9, 0.8], rtol=1e-6)
