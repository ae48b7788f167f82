"""What is run in NEST, in Brian2 and here, as plain data: one neuron of each kind under a constant current.

All three read it. Times are in ms, v in mV, currents in nA, conductances in uS, capacitances in nF.
"""

from __future__ import annotations

LIF = dict(dt=0.1, steps=2000, tau=10.0, R=40.0, rest=-65.0, threshold=-50.0, reset=-60.0, refractory=2.0, drive=0.5)
IZHIKEVICH = dict(dt=0.1, steps=5000, a=0.02, b=0.2, c=-50.0, d=2.0, peak=30.0, v0=-65.0, u0=-13.0, drive=10.0)
ADEX = dict(
    dt=0.1, steps=6000, C=0.2, g=0.012, rest=-70.0, V_T=-50.0, slope=2.0, tau_w=300.0, a=0.002, b=0.06, reset=-58.0,
    peak=0.0, drive=0.5,
)  # fmt: skip
FINE = 0.01  # for AdEx beside NEST, which chooses its own steps
HH = dict(
    dt=0.01, steps=10000, C=1.0, Na=120.0, K=36.0, L=0.3, v_Na=115.0, v_K=-12.0, v_L=10.598, rest=-65.0, drive=10.0
)
AREA = 100.0  # NEST's HH patch: pF for each uF/cm2, nS for each uS/cm2, pA for each uA/cm2 times 10


def gates_at_rest() -> tuple[float, float, float]:
    """n, m and h of the squid's membrane at rest."""
    from math import exp

    n = 0.1 / (exp(1.0) - 1.0)
    m = 2.5 / (exp(2.5) - 1.0)
    h = 1.0 / (exp(3.0) + 1.0)
    return n / (n + 0.125), m / (m + 4.0), 0.07 / (0.07 + h)
