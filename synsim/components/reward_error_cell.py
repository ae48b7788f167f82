"""Error cell: how much better a reward is than expected."""

from __future__ import annotations

from typing import ClassVar, Literal

from synsim.component import Component, Now, Size, View, inlet, outlet, param, rounded, state, static
from synsim.later import jax, jnp


class RewardErrorCell(Component):
    """Reward prediction error against a running average.

        rpe = reward - mu,     mu <- (1 - alpha) mu + alpha reward,     accum_reward <- accum_reward + reward

    rpe is taken against the mu before the step. `use_online_predictor: false` leaves mu as it is in a step. `evolve`,
    scheduled at the end of an episode, moves mu towards the episode's mean reward by 1 / ema_window_len; with
    `episodic: reference` only where the online predictor is used as well, with `published` always. Reset sets mu to 0
    as well: to keep it from trial to trial, let the schedule's `start` name the other components.

    Shapes: reward, rpe, mu, accum_reward (B, *n_units), n_ep_steps (B,).

    Source: Sutton & Barto (2018), Reinforcement Learning, 2nd ed., sections 2.4 and 2.8; Fremaux, Sprekeler & Gerstner
    (2010), Journal of Neuroscience 30:13326.
    """

    family: ClassVar[str] = "error"

    n_units: Size = static("Number of rewards, or their shape.")
    alpha: float = param("Share of a step's reward in the running average.", ge=0, le=1, per="unit")
    ema_window_len: float = param("Number of episodes that the running average spans.", default=10.0, ge=1, per="unit")
    use_online_predictor: bool = static("Whether mu follows the reward in each step.", default=True)
    episodic: Literal["reference", "published"] = static(
        "Whether evolve changes mu only beside the online predictor (reference), or always (published).",
        default="reference",
    )

    reward = inlet("Reward of this step.")
    mu = state("Expected reward.")
    accum_reward = state("Sum of the rewards since the reset.")
    n_ep_steps = state("Steps since the reset.", size="")
    rpe = outlet("Reward prediction error.")

    def advance(self, x: View, now: Now) -> dict[str, jax.Array]:
        changed = dict(rpe=x.reward - x.mu, accum_reward=x.accum_reward + x.reward, n_ep_steps=x.n_ep_steps + 1.0)
        return changed | (self._towards(x.mu, x.reward, self.alpha, now) if self.use_online_predictor else {})

    def evolve(self, x: View, now: Now) -> dict[str, jax.Array]:
        """Let mu follow the mean reward of the episode."""
        if self.episodic == "reference" and not self.use_online_predictor:
            return {}
        steps = jnp.maximum(x.n_ep_steps, 1.0)  # before the first step nothing has accumulated either
        mean = x.accum_reward / steps.reshape(-1, *(1,) * (x.accum_reward.ndim - 1))
        return self._towards(x.mu, mean, 1.0 / self.ema_window_len, now)

    @staticmethod
    def _towards(mu: jax.Array, value: jax.Array, share: float, now: Now) -> dict[str, jax.Array]:
        return dict(mu=rounded(mu * (1.0 - share), now.zero) + value * share)
