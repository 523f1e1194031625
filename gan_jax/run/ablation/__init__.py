"""Ablations: what to change in a config, and how often; the runs, and what follows from them."""

from gan_jax.run.ablation import results as results
from gan_jax.run.ablation.plan import Axis as Axis
from gan_jax.run.ablation.plan import ablation as ablation
from gan_jax.run.ablation.plan import axis as axis
