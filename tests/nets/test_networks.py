"""What networks promise, at tiny widths: those of `NETWORKS`, but for translation's own tests."""

import functools
import inspect
import math
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from gan_jax.game.random import EXAMPLES
from gan_jax.nets import NETWORKS, OF_CODES, WITHOUT_LABELS

TINY = {
  "mlp_generator": {"shape": (2,), "hidden": (8, 8)},
  "mlp_discriminator": {"hidden": (8, 8)},
  "multi_level_mlp_generator": {"shape": (2,), "hidden": (8, 8), "num_levels": 2},
  "goodfellow_generator": {"shape": (28, 28, 1), "hidden": (8, 8)},
  "goodfellow_discriminator": {"hidden": (8, 8), "pieces": 2},
  "pacgan_generator": {"shape": (2,), "hidden": (8, 8)},
  "pacgan_discriminator": {"hidden": (8, 8), "pieces": 2},
  "dcgan_generator": {"shape": (28, 28, 1), "width": 2},
  "dcgan_discriminator": {"width": 2},
  "sngan_generator": {"shape": (32, 32, 3), "width": 2},
  "sngan_discriminator": {"width": 2, "attention": 16},
  "biggan_generator": {"shape": (32, 32, 3), "width": 2, "shared": 4, "spectral": "none"},
  "biggan_discriminator": {"width": 2, "spectral": "none"},
  "biggan_deep_generator": {"shape": (32, 32, 3), "width": 2, "depth": 1, "spectral": "none"},
  "biggan_deep_discriminator": {"width": 2, "depth": 1, "spectral": "none"},
  "r3gan_generator": {
    "shape": (8, 8, 3),
    "widths": (8, 4),
    "cardinalities": (4, 2),
    "blocks": (1, 1),
  },
  "r3gan_discriminator": {"widths": (4, 8), "cardinalities": (2, 4), "blocks": (1, 1)},
  "stylegan2_generator": {
    "shape": (8, 8, 3),
    "channel_max": 2,
    "w_dim": 4,
    "mapping_layers": 1,
    "lr_multiplier": 1.0,
  },
  # Groups of one example, as evaluation is held to be of each example alone.
  "stylegan2_discriminator": {
    "channel_max": 2,
    "mapping_layers": 1,
    "lr_multiplier": 1.0,
    "mbstd_group_size": 1,
  },
  "mlp_autoencoder_discriminator": {"hidden": (8, 8), "embedding": 4},
  "autoencoder_generator": {"shape": (16, 16, 1), "width": 2},
  "autoencoder_discriminator": {"width": 2, "embedding": 4},
}
INPUTS = {
  "mlp_discriminator": (2,),
  "goodfellow_discriminator": (28, 28, 1),
  "pacgan_discriminator": (2,),
  "dcgan_discriminator": (28, 28, 1),
  "sngan_discriminator": (32, 32, 3),
  "biggan_discriminator": (32, 32, 3),
  "biggan_deep_discriminator": (32, 32, 3),
  "r3gan_discriminator": (8, 8, 3),
  "stylegan2_discriminator": (8, 8, 3),
  "mlp_autoencoder_discriminator": (2,),
  "autoencoder_discriminator": (16, 16, 1),
}
PLAIN = [name for name in NETWORKS if name not in WITHOUT_LABELS | OF_CODES]
GENERATORS = [name for name in PLAIN if name.endswith("generator")]
DISCRIMINATORS = [name for name in PLAIN if name.endswith("discriminator")]
LABELS = jnp.arange(16) % 3
# Of the layers of networks whose programs are compiled, such as biggan_generator.
OF_SAME_LAYERS = {
  "multi_level_mlp_generator",
  "biggan_discriminator",
  "biggan_deep_generator",
  "biggan_deep_discriminator",
}
COMPILED = [name for name in PLAIN if name not in OF_SAME_LAYERS]


class Made(NamedTuple):
  net: object
  variables: dict
  x: jax.Array


@functools.cache
def make(name, **options):
  """Makes a tiny network, its variables, and 16 inputs."""
  net = NETWORKS[name](**TINY[name], **options)
  random = np.random.default_rng(0)
  x = jnp.asarray(random.normal(size=(16, *INPUTS.get(name, (8,)))), jnp.float32)
  shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), x, LABELS, train=False))

  def fill(path, leaf):
    # Values of the right size by name: initialising would take longer than all that is tested.
    name = path[-1].key
    if name in ("scale", "var"):
      return jnp.ones(leaf.shape)
    scale = math.prod(leaf.shape[:-1]) ** -0.5 if name == "kernel" else 0.5
    return jnp.asarray(random.normal(scale=scale, size=leaf.shape), jnp.float32)

  return Made(net, jax.tree_util.tree_map_with_path(fill, shapes), x)


def main(out):
  """Returns the examples or logits among the outputs of a network."""
  return out["logits"] if isinstance(out, dict) else out


def trained(net, variables, x, y=None, seed=0):
  """Runs a training forward, on a device of several if the network has an `axis_name`."""
  rngs = {"dropout": jax.random.key(seed), "params": jax.random.key(seed + 1)}
  if net.axis_name is not None:
    variables = {**variables, EXAMPLES: {"device": jax.lax.axis_index(net.axis_name)}}
  out, state = net.apply(variables, x, y, train=True, rngs=rngs, mutable=["batch_stats"])
  return main(out), state


OUT_OF_RANGE = [
  ("stylegan2_generator", "w_dim", 0, "w_dim is 0: expected a number >= 1"),
  ("stylegan2_generator", "lr_multiplier", 0.0, "lr_multiplier is 0.0: expected a number > 0"),
  ("stylegan2_generator", "mixing", 1.5, r"mixing is 1.5: expected a number in \[0, 1\]"),
  ("stylegan2_generator", "cutoff", -1, "cutoff is -1: expected a number >= 0"),
  ("stylegan2_generator", "conv_clamp", -1.0, "conv_clamp is -1.0: expected a number >= 0"),
  ("stylegan2_generator", "resample_filter", (), r"is \(\): expected taps with a sum"),
  ("stylegan2_discriminator", "mbstd_group_size", -1, "mbstd_group_size is -1: expected"),
  ("stylegan2_discriminator", "mapping_layers", 0, "mapping_layers is 0: expected a number >= 1"),
  ("stylegan2_discriminator", "resample_filter", (1, -1), "expected taps with a sum"),
  ("r3gan_generator", "blocks", (0, 0), r"blocks are \(0, 0\): expected numbers >= 0"),
  ("r3gan_generator", "kernel", 2, "kernel is 2: expected an odd number"),
  ("r3gan_generator", "taps", (), r"taps are \(\): expected an odd number of them"),
  ("r3gan_discriminator", "high_stages", -1, "high_stages is -1: expected a number >= 0"),
  ("biggan_generator", "norm_epsilon", 0.0, "norm_epsilon is 0.0: expected a number > 0"),
  ("biggan_deep_discriminator", "depth", 0, "depth is 0: expected a number >= 1"),
  ("mlp_autoencoder_discriminator", "power", 0.0, "power is 0.0: expected a number > 0"),
]


@pytest.mark.parametrize(("name", "field", "value", "message"), OUT_OF_RANGE)
def test_a_number_out_of_range_is_named(name, field, value, message):
  net = NETWORKS[name](**{**TINY[name], field: value})
  x = jnp.zeros((1, *INPUTS.get(name, (8,))))
  with pytest.raises(ValueError, match=message):
    jax.eval_shape(functools.partial(net.init, train=False), jax.random.key(0), x, LABELS[:1])


def test_every_network_is_in_the_tables():
  assert list(TINY) == PLAIN
  assert sorted(GENERATORS + DISCRIMINATORS) == sorted(PLAIN)


@pytest.mark.parametrize("name", PLAIN)
def test_fields_are_those_that_configs_set(name):
  fields = inspect.signature(NETWORKS[name]).parameters
  common = {"num_classes": None, "dtype": jnp.float32, "axis_name": None}
  assert {key: fields[key].default for key in common} == common
  required = [key for key, field in fields.items() if field.default is field.empty]
  assert required == (["shape"] if name in GENERATORS else [])


@pytest.mark.parametrize("num_classes", [None, 3])
@pytest.mark.parametrize("name", PLAIN)
def test_shapes_dtypes_and_state(name, num_classes):
  """The same at both dtypes: float32 out, float32 parameters, state that training keeps."""
  for dtype in (jnp.float32, "bfloat16"):
    net, variables, x = make(name, num_classes=num_classes, dtype=dtype)
    y = None if num_classes is None else LABELS
    out, state = jax.eval_shape(lambda net=net, v=variables, x=x, y=y: trained(net, v, x, y))
    assert (
      out.shape == (16, *(net.shape if name in GENERATORS else ())) and out.dtype == jnp.float32
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert set(variables) <= {"params", "batch_stats"}
    before = jax.tree.map(jnp.shape, variables.get("batch_stats", {}))
    assert jax.tree.map(jnp.shape, state.get("batch_stats", {})) == before


@pytest.mark.parametrize("name", COMPILED)
def test_evaluation_depends_on_an_example_and_its_label_alone(name):
  net, variables, x = make(name, num_classes=3)
  compiled = jax.jit(lambda x, y: main(net.apply(variables, x, y, train=False)))
  evaluate = lambda x, y: np.asarray(compiled(x, y))
  out = evaluate(x, LABELS)
  assert np.isfinite(out).all() and np.std(out) > 0
  np.testing.assert_array_equal(evaluate(x, LABELS), out)
  for changed in (evaluate(x.at[1].add(1.0), LABELS), evaluate(x, LABELS.at[1].set(2))):
    assert np.any(np.abs(changed[1] - out[1]) > 1e-4)
    np.testing.assert_allclose(changed[0], out[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(changed[2:], out[2:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", PLAIN)
def test_labels_are_needed_by_a_conditional_network_only(name):
  net, variables, x = make(name, num_classes=3)
  with pytest.raises(ValueError, match="num_classes=3 needs labels"):
    jax.eval_shape(lambda: net.apply(variables, x, train=False))
  net, variables, x = make(name)
  apply = lambda y: str(jax.make_jaxpr(lambda x: net.apply(variables, x, y, train=False))(x))
  assert apply(LABELS) == apply(None)


@pytest.mark.parametrize("name", COMPILED)
def test_eight_devices_agree_with_one(name):
  """Outputs and statistics of a training forward, dropout and batch norm included."""
  net, variables, x = make(name, num_classes=3)
  out, state = jax.jit(lambda: trained(net, variables, x, LABELS))()
  split = net.clone(axis_name="data")
  mesh = Mesh(np.array(jax.devices()), "data")
  rows, all_ = PartitionSpec("data"), PartitionSpec()
  got, stats = jax.jit(
    jax.shard_map(
      lambda x, y: trained(split, variables, x, y),
      mesh=mesh,
      in_specs=(rows, rows),
      out_specs=(rows, all_),
      check_vma=False,
    )
  )(x, LABELS)
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
  close(got, out)
  jax.tree.map(close, stats, state)


@pytest.mark.parametrize("name", [name for name in COMPILED if name in DISCRIMINATORS])
def test_penalties_differentiate_twice(name):
  net, variables, x = make(name, num_classes=3, dtype=jnp.bfloat16)

  @jax.jit
  def gradient(params):
    def penalty(params):
      logits = lambda x: trained(net, {**variables, "params": params}, x, LABELS)[0]
      g = jax.grad(lambda x: jnp.sum(logits(x)))(x)
      return jnp.sum(g**2)

    return jax.grad(penalty)(params)

  leaves = jax.tree.leaves(jax.device_get(gradient(variables["params"])))
  assert all(np.isfinite(leaf).all() for leaf in leaves)
  assert any(np.any(leaf != 0) for leaf in leaves)


@pytest.mark.parametrize("name", [name for name in COMPILED if name in GENERATORS])
def test_every_parameter_of_a_generator_has_a_gradient(name):
  net, variables, x = make(name, num_classes=3, dtype=jnp.bfloat16)

  @jax.jit
  def gradient(params):
    loss = lambda params: jnp.sum(
      jnp.sin(3 * trained(net, {**variables, "params": params}, x, LABELS)[0])
    )
    return jax.grad(loss)(params)

  for leaf in jax.tree.leaves(gradient(variables["params"])):
    assert jnp.isfinite(leaf).all() and jnp.any(leaf != 0)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_take_packed_examples(name):
  """Two examples stacked on the channel axis."""
  net = NETWORKS[name](**TINY[name])
  x = jnp.zeros((4, *INPUTS[name][:-1], 2 * INPUTS[name][-1]))
  out, _ = jax.eval_shape(lambda: net.init_with_output(jax.random.key(0), x, train=False))
  assert main(out).shape == (4,)


# The shapes before and after each sum of bfloat16 in a program.
SUMS = re.compile(
  r"stablehlo.add across dimensions = .* : \(tensor<([\dx]*)bf16>, .*\) -> tensor<([\dx]*)bf16>"
)


def test_a_sum_in_16_bits_would_be_seen():
  """The gradient of a bias that is added in bfloat16."""
  spread = lambda bias: jnp.ones((64, 3), jnp.bfloat16) + bias[None]
  loss = lambda bias: jnp.sum(spread(bias).astype(jnp.float32) ** 2)
  text = jax.jit(jax.grad(loss)).lower(jnp.ones(3, jnp.bfloat16)).as_text()
  assert any(before == "64x3x" for before, _ in SUMS.findall(text))


# With labels, as norms by class have layers of their own beside those of all networks.
@pytest.mark.parametrize("name", COMPILED)
def test_nothing_is_summed_in_16_bits(name):
  """A sum in bfloat16 no longer grows where it is 256 times as large as what is added.

  Biases, and scales and shifts by class, have gradients that are sums over all places of a batch.
  """
  net, variables, x = make(name, dtype=jnp.bfloat16, num_classes=3)

  def loss(params, x):
    out, _ = net.apply(
      {**variables, "params": params},
      x,
      LABELS,
      train=True,
      rngs={"dropout": jax.random.key(0), "params": jax.random.key(1)},
      mutable=["batch_stats"],
    )
    return jnp.sum(jnp.sin(main(out).astype(jnp.float32)))

  text = jax.jit(jax.grad(loss, (0, 1))).lower(variables["params"], x).as_text()
  assert "xbf16>" in text
  size = lambda shape: math.prod(map(int, filter(None, shape.split("x"))))
  # Those of a few pieces or neighbours are no worse than their rounding.
  assert all(size(before) <= 8 * size(after) for before, after in SUMS.findall(text))
