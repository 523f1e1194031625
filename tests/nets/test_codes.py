"""Networks whose outputs are codes, classes or features: shapes, devices, and the layers shared."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from gan_jax.nets import NETWORKS, OF_CODES, DCGANDiscriminator, MLPDiscriminator
from gan_jax.nets.autoencoder import Codebook

TINY = {
  "auxiliary_mlp_discriminator": {"hidden": (8, 8)},
  "auxiliary_dcgan_discriminator": {"width": 2},
  "auxiliary_sngan_discriminator": {"width": 2},
  "auxiliary_biggan_discriminator": {"width": 2},
  "mlp_encoder": {"features": 5, "hidden": (8, 8)},
  "dcgan_encoder": {"features": 5, "width": 2},
}
PLAIN = {
  "auxiliary_mlp_discriminator": MLPDiscriminator(hidden=(8, 8)),
  "auxiliary_dcgan_discriminator": DCGANDiscriminator(width=2),
}
LABELS = jnp.arange(16) % 3
each = pytest.mark.parametrize("name", TINY)


def build(name, **options):
  net = NETWORKS[name](**TINY[name], **options)
  shape = {"dcgan": (28, 28, 1), "sngan": (32, 32, 1), "biggan": (32, 32, 1)}.get(
    name.split("_")[-2], (2,)
  )
  x = jax.random.normal(jax.random.key(0), (16, *shape))
  return net, x


def make(name, **options):
  net, x = build(name, **options)
  return net, init(net, x), x


def init(net, x):
  return jax.jit(lambda: net.init(jax.random.key(1), x, LABELS, train=False))()


def test_every_network_is_in_the_table():
  assert TINY.keys() == OF_CODES.keys()


@each
@pytest.mark.parametrize("num_classes", [None, 3])
def test_shapes_and_dtypes(name, num_classes):
  net, x = build(name, num_classes=num_classes, dtype=jnp.bfloat16)
  apply = lambda: net.apply(init(net, x), x, LABELS, train=True, mutable=["batch_stats"])
  out, state = jax.eval_shape(apply)
  assert {leaf.dtype for leaf in jax.tree.leaves((out, state))} == {jnp.dtype("float32")}
  if name.endswith("encoder"):
    assert out.shape == (16, 5)
    return
  classes = {} if num_classes is None else {"classes": (16, 3)}
  features = (16, {"dcgan": 196, "sngan": 2}.get(name.split("_")[1], 8))
  shapes = {"logits": (16,), "features": features, **classes}
  assert {key: leaf.shape for key, leaf in out.items()} == shapes


@pytest.mark.parametrize("name", PLAIN)
def test_logits_are_those_of_the_plain_discriminator(name):
  net, variables, x = make(name)
  expected = PLAIN[name].apply(variables, x, train=False)
  np.testing.assert_array_equal(net.apply(variables, x, train=False)["logits"], expected)


@pytest.mark.parametrize("name", ["mlp_encoder", "dcgan_encoder"])
def test_codes_depend_on_labels_where_there_are_classes(name):
  net, variables, x = make(name, num_classes=3)
  codes = lambda y: net.apply(variables, x, y, train=False)
  moved = jnp.abs(codes(LABELS) - codes(LABELS.at[1].set(2))).max(1) > 0
  assert moved.tolist() == [i == 1 for i in range(16)]
  with pytest.raises(ValueError, match="num_classes=3 needs labels"):
    codes(None)


@each
def test_eight_devices_agree_with_one(name):
  net, variables, x = make(name, num_classes=3)
  train = lambda net, x, y: net.apply(variables, x, y, train=True, mutable=["batch_stats"])
  split, rows = net.clone(axis_name="data"), PartitionSpec("data")
  mapped = jax.shard_map(
    lambda x, y: train(split, x, y),
    mesh=Mesh(np.array(jax.devices()), "data"),
    in_specs=(rows, rows),
    out_specs=(rows, PartitionSpec()),
    check_vma=False,
  )
  # Means over the batch are summed in another order.
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
  jax.tree.map(close, jax.jit(mapped)(x, LABELS), train(net, x, LABELS))


@pytest.mark.parametrize(
  ("name", "options"),
  [("joint_mlp_discriminator", {"hidden": (8,)}), ("joint_dcgan_discriminator", {"width": 2})],
)
def test_logits_of_pairs_depend_on_both(name, options):
  net, keys = NETWORKS[name](**options), jax.random.split(jax.random.key(0), 2)
  x, z = jax.random.normal(keys[0], (4, 28, 28, 1)), jax.random.normal(keys[1], (4, 5))
  variables = jax.jit(functools.partial(net.init, train=False))(jax.random.key(1), (x, z))
  logits = jax.jit(lambda x, z: net.apply(variables, (x, z), train=False))
  assert logits(x, z).shape == (4,) and logits(x, z).dtype == jnp.float32
  for other in ((x[::-1], z), (x, z[::-1])):
    assert (logits(*other) != logits(x, z)).any()


def test_maps_of_codes_are_of_entries_and_lead_back_to_the_size():
  x = jax.random.normal(jax.random.key(0), (3, 8, 12, 1))
  encoder, decoder = (NETWORKS[f"map_{k}"](width=2, stages=2) for k in ("encoder", "decoder"))
  make = lambda net, x: jax.jit(functools.partial(net.init_with_output, train=False))(
    jax.random.key(1), x
  )
  codes, _ = make(encoder, x)
  assert codes.shape == (3, 2, 3, 64)
  entries, variables = make(Codebook(4, 64), codes)
  table = variables["params"]["entries"]
  nearest = jnp.argmin(jnp.sum((codes[..., None, :] - table[None, None, None]) ** 2, -1), -1)
  np.testing.assert_array_equal(entries, table[nearest])
  features, _ = make(decoder, entries)
  assert features.shape == (3, 8, 12, 2)
