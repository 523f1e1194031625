"""Adaptive discriminator augmentation, ADA: a pipe of transforms whose strength follows D.

Karras et al. 2020, arXiv:2006.06676. The strength p rises while D is sure of real examples, by the
mean sign of its logits, r_t, and falls while it is not. As in the published code p has no ceiling
unless one is given; unlike there, it is part of the state, and goes on where a run is resumed.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.checks import is_integer, is_number, shown
from gan_jax.game.core import Clock, Metrics, PyTree
from gan_jax.game.memory import join_mean
from gan_jax.game.random import named_key
from gan_jax.game.schedules import Weight, is_weight, value_at
from gan_jax.game.views.pipe.augment import augment, check_images
from gan_jax.game.views.pipe.draws import draw_values, values_at
from gan_jax.game.views.pipe.options import Pipe, check_pipe, parse_pipe
from gan_jax.game.views.view import View


def ada(
  *,
  pipe: str | Pipe = "bgc",
  p: Weight = 0.0,
  adaptive: bool = True,
  target: float = 0.6,
  interval: int = 4,
  kimg: float = 500.0,
  ceiling: float = 0.0,
  debug_percentile: float | None = None,
) -> View:
  """Builds the view that augments images by a pipe of transforms, each with its probability.

  Args:
    pipe: blit, geom, color, filter, noise, cutout, bg, bgc, bgcf, bgcfn, bgcfnc or r3gan, then
      changes such as "bgc, rotate=0, scale_std=0.1"; from Python a Pipe too.
    p: strength at the start; of one that is not adaptive, a number or a schedule.
    adaptive: whether p follows how sure the discriminator is of real examples, by the signs of its
      logits; games of a loss that gives them no meaning, such as `wasserstein`, refuse it.
    target: mean sign of the logits of real examples at which p stays.
    interval: moves of the discriminator between changes of p.
    kimg: thousands of images in which p changes by 1.
    ceiling: largest p; 0 for none, as published.
    debug_percentile: percentile at which every transform is, instead of draws; for tests.

  Raises:
    ValueError: for options of another kind; where it is applied, for examples that are no images
      and images that the pipe does not take.
  """
  pipe = parse_pipe(pipe) if isinstance(pipe, str) else check_pipe(pipe)
  _check(p, adaptive, target, interval, kimg, ceiling)

  def settled(memory: PyTree) -> PyTree:
    """Moves p by the signs of an interval, if it is over."""
    # Before the next move, not after the last: by then the signs are those of all devices and
    # microbatches, each of which has seen its own share.
    rt = memory["signs"] / jnp.maximum(jnp.float32(memory["logits"]), 1)
    step = jnp.float32(memory["images"]) / (kimg * 1000)
    moved = jnp.maximum(memory["p"] + jnp.sign(rt - target) * step, 0)
    new = {"p": jnp.minimum(moved, ceiling) if ceiling else moved, "rt": rt, **_NO_SIGNS}
    return jax.tree.map(lambda x, y: jnp.where(memory["moves"] >= interval, x, y), new, memory)

  def strength(clock: Clock, memory: PyTree) -> Any:
    return settled(memory)["p"] if adaptive else value_at(p, clock)

  def apply(x: jax.Array, keys: jax.Array, clock: Clock, memory: PyTree) -> jax.Array:
    check_images(x, pipe)
    if debug_percentile is not None:
      values = values_at(pipe, debug_percentile, len(x), x.shape[-1])
    else:
      values = draw_values(pipe, strength(clock, memory), keys, x.shape[-1])
    if "noise" not in values:
      return augment(x, values)
    noise = lambda key: jax.random.normal(named_key(key, "noise image"), x.shape[1:], x.dtype)
    return augment(x, values, jax.vmap(noise)(keys))

  def metrics(clock: Clock, memory: PyTree) -> Metrics:
    rt = {"augmentation/rt": settled(memory)["rt"]} if adaptive else {}
    return {"augmentation/p": jnp.float32(strength(clock, memory)), **rt}

  if callable(p) or not adaptive:
    return View(apply, metrics=metrics)
  memory = {"p": np.float32(p), "rt": np.float32(0), **_NO_SIGNS}
  update = lambda memory, match: _with_signs(settled(memory), match)
  return View(apply, memory=memory, update=update, join=join_mean, metrics=metrics, signs=True)


# Signs are a sum, and counts are of the global batch: whole numbers, exact on every layout.
_NO_SIGNS = {
  "signs": np.float32(0),
  "logits": np.uint32(0),
  "images": np.uint32(0),
  "moves": np.int32(0),
}


def _with_signs(memory: PyTree, match: Any) -> PyTree:
  """Adds the signs of a move's logits of real examples to the memory."""
  signs, shares = jnp.sum(jnp.sign(match.real_scores)), match.microbatch.count
  if match.axis_name is not None:
    signs = jax.lax.psum(signs, match.axis_name)
    shares *= jax.lax.psum(1, match.axis_name)
  # Of packs there are fewer logits than images.
  images = len(jax.tree.leaves(match.latents)[0])
  return memory | {
    # Microbatches are joined by the mean of their sums.
    "signs": memory["signs"] + match.microbatch.count * signs,
    "logits": memory["logits"] + jnp.uint32(shares * len(match.real_scores)),
    "images": memory["images"] + jnp.uint32(shares * images),
    "moves": memory["moves"] + 1,
  }


def _check(p: Any, adaptive: Any, target: Any, interval: Any, kimg: Any, ceiling: Any) -> None:
  if not is_weight(p, least=0):
    raise ValueError(f"p is {shown(p)}: expected a strength >= 0, or a schedule")
  if not isinstance(adaptive, bool):
    raise ValueError(f"adaptive is {shown(adaptive)}: expected True or False")
  if adaptive and not is_number(p):
    raise ValueError("an adaptive p starts from a number: set adaptive=False for a schedule")
  if not is_number(target, lambda x: -1 <= x <= 1):
    raise ValueError(f"target is {shown(target)}: expected a mean of signs, in [-1, 1]")
  if not is_integer(interval) or interval < 1:
    raise ValueError(f"interval is {shown(interval)}: expected a number of moves >= 1")
  if not is_number(kimg, lambda x: x > 0):
    raise ValueError(f"kimg is {shown(kimg)}: expected thousands of images > 0")
  if not is_number(ceiling, lambda x: x >= 0):
    raise ValueError(f"ceiling is {shown(ceiling)}: expected the largest p, or 0 for none")
