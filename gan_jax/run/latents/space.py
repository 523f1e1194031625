"""The latents of a trained generator: z, and of a generator in stages its styles w and w+."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.game.latents import Styled
from gan_jax.game.play import networks
from gan_jax.game.random import make_key
from gan_jax.nets.layers import ClassShares
from gan_jax.run.evaluation.draws import in_float32
from gan_jax.run.evaluation.sampling import CompiledSampler
from gan_jax.run.experiment import sampler_of
from gan_jax.run.results.run import Run

SPACES = ("z", "w", "w+")
Labels = np.ndarray | ClassShares | None


class LatentSpace:
  """A space of latents, and the generator of a run as a function of them.

  Networks compute in float32, whatever they were trained in: small steps show, and gradients have
  all their digits. An example of seed s is the first one that `gan_jax sample --seed=s` draws, but
  for the noise of a network that draws noise; that is of the seed too, and the same in all spaces.

  Attributes:
    run: run at a checkpoint.
    name: "z", latents [n, d] of the prior; "w", styles [n, rows, d] whose rows are one; or "w+",
      styles of any rows.
    ema: whether the generator is the averaged one.
    sampler: compiled sampler of z.
    how: the generator as a function of latents of this space.
    rows: rows of styles, one for each layer of synthesis; 0 of z.
  """

  def __init__(
    self, run: Run, name: str | None = None, *, ema: bool = True, sampler: str | None = None
  ):
    """Prepares the generator; compiles on first use.

    Args:
      run: run at a checkpoint.
      name: one of `SPACES`; None for w of a generator in stages, and z of another.
      ema: whether the generator is the averaged one.
      sampler: name of the game's sampler; None for that of the config.

    Raises:
      ValueError: the run has no such latents, or makes points.
    """
    game, drawn_by = in_float32(run), sampler or sampler_of(run.config)
    how = game.sampler(drawn_by)
    if how.inputs is None:
      raise ValueError(f"{run.folder.workdir} is of a translator, which starts from images")
    if run.example.pixel_range is None:
      raise ValueError(f"{run.folder.workdir} makes points: latents are shown of images")
    inputs = jax.eval_shape(lambda: how.inputs and how.inputs(make_key(0), 1))
    if not isinstance(inputs, jax.ShapeDtypeStruct) or inputs.ndim != 2:
      raise ValueError(f"latents of {run.folder.workdir} are no vectors: {inputs}")
    stages = how.mapping is not None and how.synthesis is not None
    self.run, self.ema, self.name = run, ema, name or ("w" if stages else "z")
    if self.name != "z" and not stages:
      raise ValueError(f"{run.config.generator.name} has no styles {name}: expected z")
    self.sampler = CompiledSampler(game, run.example, drawn_by)
    self.how, self.rows = how, 0
    if self.name != "z":
      assert how.synthesis is not None and how.mapping is not None
      label = run.example.batch(1).get("y")
      self.rows = jax.eval_shape(how.mapping, *self.networks, inputs, label).shape[1]
      self.how = how._replace(generate=how.synthesis)
    self._render = CompiledSampler(game._replace(samplers={self.name: self.how}), run.example)

  @property
  def networks(self) -> tuple[Any, Any]:
    """Parameters and statistics of the generator, as `how` takes them."""
    return networks(self.run.state, self.ema)

  @property
  def is_z(self) -> bool:
    """Whether latents are of the prior, and labels are given beside them."""
    return self.name == "z"

  def spread(self, latents: Any) -> Any:
    """Repeats styles [n, d] in the rows of w; other latents are as they are."""
    return jnp.repeat(latents[:, None], self.rows, axis=1) if self.name == "w" else latents

  def of_prior(self, seeds: Sequence[int]) -> np.ndarray:
    """Draws z of each seed, [n, d]."""
    return np.concatenate([self.sampler.latents(1, seed) for seed in seeds])

  def of_z(self, z: np.ndarray, labels: Labels = None, bound: float | None = None) -> np.ndarray:
    """Computes latents of this space from z [n, d]: z itself, or styles [n, rows, d].

    Args:
      z: latents of the prior.
      labels: of each, of a conditional game.
      bound: truncation; see `Run.sample`.

    Raises:
      ValueError: truncation that there cannot be, or of z by a generator that has styles.
    """
    inputs = z if bound is None else self.sampler.truncated(z, bound)
    if self.is_z:
      if isinstance(inputs, Styled):
        raise ValueError("this generator truncates styles: expected --space=w")
      return inputs
    return self.sampler.styles(self.run.state, inputs, labels=labels, ema=self.ema)

  def examples(self, latents: np.ndarray, labels: Labels, places: Any, **how: Any) -> np.ndarray:
    """Generates examples in the type of the data, [n, ...].

    Args:
      latents: of this space, [n, ...].
      labels: of each, of a conditional game; styles have theirs in them.
      places: int [n], by which networks draw noise.
      **how: `rounded` of `CompiledSampler.generate`.
    """
    given = labels if self.is_z else None
    return self._render.generate(
      self.run.state, latents, labels=given, ema=self.ema, places=places, **how
    )

  def shown(self, x: np.ndarray) -> np.ndarray:
    """Returns what a picture can show of examples, uint8 [n, H, W, 1 or 3]."""
    return self.sampler.shown(x)

  def labels(self, n: int, names: Sequence[str] = ()) -> np.ndarray | None:
    """Returns labels [n]: those of the names, or all classes, one after the other; None without."""
    example = self.run.example
    if names:
      given = example.labels(names)
      return given[np.arange(n) % len(given)]
    if example.num_classes is not None:
      return np.arange(n) % example.num_classes
    return self.run.labels(n)


def prior_bound(run: Run) -> float | None:
  """Returns the bound that entries of z never pass; None of a normal prior."""
  latent = run.config.get("latent", {"name": "codes"})  # InfoGAN's lie in [-1, 1]
  bounds = {"uniform": latent.get("scale"), "truncated": latent.get("bound"), "codes": 1.0}
  return bounds.get(latent["name"])
