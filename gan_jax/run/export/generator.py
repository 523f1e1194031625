"""A run's generator as one function of arrays, its weights within: what each format is made of."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data.example import Example
from gan_jax.game.core import PyTree, Sampler
from gan_jax.game.latents import Styled, truncate_styles
from gan_jax.game.play import networks
from gan_jax.game.random import fixed, make_key
from gan_jax.run.evaluation.draws import in_float32
from gan_jax.run.experiment import other_sampler, sampler_of
from gan_jax.run.results.run import Run

Shape = tuple[int, ...]


class Input(NamedTuple):
  """An input of a generator, an array [n, *shape].

  Attributes:
    shape: shape of one example's.
    dtype: "float32" or "int32".
    meaning: description for readers.
  """

  shape: Shape
  dtype: str
  meaning: str


class Generator(NamedTuple):
  """A generator as a function of arrays.

  Attributes:
    generate: inputs in order, [n, ...] each -> examples float32 [n, *shape]: images in [0, 1], not
      clipped, points as they are in the data.
    draw: (typed key, other inputs than the latents) -> likewise; None of a translator.
    inputs: the inputs by name, in order.
    shape: shape of one example.
    variables: variables of its networks, by name, as flax has them.
    averaged: whether these are averaged ones.
    sampler: name of the game's sampler; None of the first.
  """

  generate: Callable[..., jax.Array]
  draw: Callable[..., jax.Array] | None
  inputs: Mapping[str, Input]
  shape: Shape
  variables: Mapping[str, PyTree]
  averaged: bool
  sampler: str | None = None


def generator_of(
  run: Run, *, sampler: str | None = None, ema: bool = True, noise: bool = True
) -> Generator:
  """Builds the function of a run's generator, which computes in float32 on every device.

  Args:
    run: the run, at a checkpoint.
    sampler: name of the game's sampler; by default that of the config.
    ema: whether to use averaged networks.
    noise: whether networks may draw noise of their own; else StyleGAN2 has its constant maps.

  Raises:
    ValueError: for a sampler that there is not, or a game without one.
  """
  game, example = in_float32(run), run.example
  name = sampler or sampler_of(run.config)
  how, other = game.sampler(name), other_sampler(game, name)
  latents, inputs = _inputs(how, example)
  all_params, carried = networks(run.state, ema)
  params = _Noted(all_params)

  def generate(*arrays: jax.Array, key: jax.Array | None = None) -> jax.Array:
    given: dict[str, Any] = dict(zip(inputs, arrays, strict=True))
    z: Any = jax.tree.unflatten(latents, [given[name] for name in inputs if name not in OTHERS])
    if how.inputs is None:
      z = _between(z, example, inverse=True)
    n = arrays[0].shape[0]
    if "psi" in given:
      z = Styled(z, given["psi"])
    if noise:
      places = jnp.arange(n, dtype=jnp.int32)
      key = make_key(0) if key is None else key
      x = how.draw(params, carried, z, given.get("y"), key, places)
    else:
      x = how.generate(params, carried, z, given.get("y"))
    return _between(x, example)

  def draw(key: jax.Array, *others: jax.Array) -> jax.Array:
    assert how.inputs is not None
    z = jax.tree.leaves(how.inputs(key, others[0].shape[0]))
    others = others if inputs.keys() & set(OTHERS) else ()  # else it says how many
    return generate(*z, *others, key=key)

  shapes = [jax.ShapeDtypeStruct((1, *of.shape), of.dtype) for of in inputs.values()]
  jax.eval_shape(fixed(generate), *shapes)
  variables = {name: {"params": params[name], **carried[name]} for name in sorted(params.names)}
  drawn = None if how.inputs is None else fixed(draw)
  averaged = ema and bool(game.averages)
  shape = tuple(example.shape)
  return Generator(fixed(generate), drawn, inputs, shape, variables, averaged, other)


class _Noted(dict):
  """Parameters by network, which notes whose are asked for."""

  def __init__(self, params: Mapping[str, PyTree]):
    super().__init__(params)
    self.names: set[str] = set()

  def __getitem__(self, name: str) -> PyTree:
    self.names.add(name)
    return super().__getitem__(name)


OTHERS = ("y", "psi")  # inputs beside latents


def _inputs(how: Sampler, example: Example) -> tuple[Any, dict[str, Input]]:
  """Lists the inputs of a sampler: (structure of the latents, inputs by name)."""
  inputs: dict[str, Input] = {}
  if how.inputs is None:
    shape = tuple(example.input_shape)
    return jax.tree.structure(0), {"x": Input(shape, "float32", "images in [0, 1]")}
  draw = how.inputs
  one = jax.eval_shape(lambda: draw(make_key(0), 1))
  paths, latents = jax.tree_util.tree_flatten_with_path(one)
  for path, leaf in paths:
    name = "_".join(["z", *(str(getattr(part, "key", getattr(part, "idx", ""))) for part in path)])
    inputs[name] = Input(leaf.shape[1:], str(leaf.dtype), "latents")
  if example.num_classes is not None:
    named = ", ".join(example.classes[:10])
    inputs["y"] = Input((), "int32", f"places of classes, {example.num_classes}: {named}")
  elif example.condition_dim is not None:
    inputs["y"] = Input((example.condition_dim,), "float32", "condition vectors")
  if how.truncate is truncate_styles:
    inputs["psi"] = Input((), "float32", "truncation of styles, 1 for none")
  return latents, inputs


def _between(x: PyTree, example: Example, inverse: bool = False) -> PyTree:
  """Scales the range that networks see to [0, 1], or back; points are left as they are."""
  if example.pixel_range is None:
    return x
  lo, hi = example.pixel_range
  return x * (hi - lo) + lo if inverse else (x - lo) / (hi - lo)


def random_inputs(generator: Generator, n: int) -> list[np.ndarray]:
  """Draws inputs [n, ...] to compare two forms of a generator by: normal, or two classes."""
  rng, classes = np.random.default_rng(0), np.arange(n, dtype=np.int32) % 2
  normal = lambda of: rng.standard_normal((n, *of.shape)).astype(np.float32)
  return [classes if of.dtype == "int32" else normal(of) for of in generator.inputs.values()]
