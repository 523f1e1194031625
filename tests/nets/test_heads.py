"""Heads of discriminators: the published code's numbers and counts, and closeness in a batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import check_case, load_case
from flax.traverse_util import flatten_dict, unflatten_dict

from gan_jax import losses, nets
from gan_jax.losses.self_supervised import rotate_batch
from gan_jax.nets.heads import MinibatchDiscrimination
from gan_jax.nets.published import layout
from gan_jax.nets.published import mimicry as published
from gan_jax.nets.sngan import AuxiliarySNGANDiscriminator


def path_of(name):
  """Returns the path of a weight of mimicry's SSGAN discriminator, or of its vector u."""
  if not name.startswith("l_y"):
    return published.discriminator_path(name)
  path = published.discriminator_path(name.replace("l_y", "l0"))  # of the rotations
  return path and (path[0], "head", "rotation", *path[3:])


def in_our_layout(array, path):
  shape = array.shape
  if array.ndim == 4 and not path[-2].startswith("Conv"):
    shape = shape[1::-1]
  elif array.ndim == 4:
    shape = tuple(shape[i] for i in (2, 3, 1, 0))
  elif path[-1] == "kernel":
    shape = shape[::-1]
  elif path[-1] == "u":
    shape = (array.size,)
  return layout.in_our_layout(path, shape, array)


def ssgan_variables(arrays):
  """Converts the weights and the vectors u of spectral norm."""
  leaves = {"params": {}, "batch_stats": {}}
  for key, array in arrays.items():
    kind, _, name = key.partition("/")
    if kind in ("w", "b") and (path := path_of(name)) is not None:
      leaves[path[0]][path[1:]] = in_our_layout(array, path)
  return unflatten_dict(leaves["params"]), unflatten_dict(leaves["batch_stats"])


def test_ssgan_discriminator_is_that_of_the_published_code():
  """D's step, of three calls with an iteration of spectral norm each; and G's from the same u."""
  arrays, case = load_case("ssgan_infomax", "ssgan_D")
  net = AuxiliarySNGANDiscriminator(width=6, head=nets.RotationHead())
  params, stats = ssgan_variables(arrays)
  real, fake = (arrays[f"in/{which}"].transpose(0, 2, 3, 1) for which in ("real", "fake"))

  def call(params, stats, x):
    out, new = net.apply(
      {"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"]
    )
    return out, new["batch_stats"]

  def rotation(params, stats, x):
    rotated, quarters = rotate_batch(x)
    out, stats = call(params, stats, rotated)
    values = -jnp.take_along_axis(jax.nn.log_softmax(out["rotation"]), quarters[:, None], axis=1)
    return jnp.mean(values), stats

  def of_discriminator(params, stats):
    out_real, stats = call(params, stats, real)
    out_fake, stats = call(params, stats, fake)
    value = jnp.mean(losses.hinge.discriminator(out_real["logits"], out_fake["logits"]))
    told, stats = rotation(params, stats, real)
    return value + told, (out_real["logits"], out_fake["logits"], value, told, stats)

  def of_generator(x, stats):
    out, stats = call(params, stats, x)
    value = jnp.mean(losses.hinge.generator(out["logits"], out["logits"]))
    told, _ = rotation(params, stats, x)
    return value + 0.2 * told, (value, 0.2 * told)

  both = lambda: (
    jax.grad(of_discriminator, has_aux=True)(params, stats),
    jax.grad(of_generator, has_aux=True)(fake, stats),
  )
  (grads, aux), (slope, of_g) = jax.jit(both)()
  found = dict(zip(("out/D real", "out/D fake", "out/errD", "out/errD_SS"), aux, strict=False))
  found |= dict(zip(("out/errG (hinge)", "out/errG_SS"), of_g, strict=True))
  found["grad/fake images of errG + errG_SS"] = slope.transpose(0, 3, 1, 2)
  grads = flatten_dict(grads)
  for key in case["tolerance"]["measured_float32_error_over_max_abs"].keys() - found.keys():
    path = path_of(key.removeprefix("grad/"))
    found[key], arrays[key] = grads[path[1:]], in_our_layout(arrays[key], path)
  arrays = {key: array[:, 0] if key.startswith("out/D") else array for key, array in arrays.items()}
  check_case(arrays, case, found)


@pytest.mark.parametrize(
  "head, published",
  [(None, 1_053_825), (nets.RotationHead(), 1_054_341), (nets.LocalGlobalHead(1024), 1_615_233)],
)
def test_parameter_counts_are_those_of_mimicry(head, published):
  net, x = AuxiliarySNGANDiscriminator(head=head), jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  variables = jax.eval_shape(lambda x: net.init(jax.random.key(0), x, train=False), x)
  assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == published


@pytest.mark.parametrize(
  "net", [nets.AuxiliaryDCGANDiscriminator(width=2), nets.AuxiliaryMLPDiscriminator((8,))]
)
def test_heads_are_of_every_auxiliary_discriminator(net):
  """Shapes, and what is missing, by name."""
  x, y = jnp.ones((3, 8, 8, 1)), jnp.arange(3)
  init = lambda net, y: net.init_with_output(jax.random.key(0), x, y, train=False)[0]
  apply = lambda head, y, **options: jax.eval_shape(
    functools.partial(init, net.clone(head=head, **options)), y
  )
  out = apply(nets.EmbeddingHead(5), y, num_classes=3, minibatch_kernels=4)
  assert out.keys() == {"logits", "features", "embedding", "proxy"}
  assert out["embedding"].shape == out["proxy"].shape == (3, 5)
  assert apply(nets.RotationHead(), None)["rotation"].shape == (3, 4)
  with pytest.raises(ValueError, match="give num_classes and labels"):
    apply(nets.EmbeddingHead(5), None)
  if isinstance(net, nets.AuxiliaryMLPDiscriminator):
    with pytest.raises(ValueError, match="choose a convolutional discriminator"):
      apply(nets.LocalGlobalHead(5), None)
  else:
    out = apply(nets.LocalGlobalHead(5), None)
    assert out["local"].shape == (3, 16, 5) and out["global"].shape == (3, 5)


def test_minibatch_discrimination_by_hand():
  """With T = I: Σ exp(-‖x - x'‖₁), with the example's own 1; equal examples have the batch size."""
  layer = MinibatchDiscrimination(kernels=1, dim=2)
  apply = lambda x, **more: layer.apply({"params": {"kernels": {"kernel": jnp.eye(2)}}, **more}, x)
  x = jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]])
  near, far, both = np.exp(-1.0), np.exp(-3.0), np.exp(-2.0)
  np.testing.assert_allclose(apply(x)[:, 0], [1 + near + far, 1 + near + both, 1 + far + both])
  np.testing.assert_array_equal(apply(jnp.ones((4, 2))), 4 * np.ones((4, 1)))
  with pytest.raises(ValueError, match="looks across the batch: set microbatches = 1"):
    apply(x, examples={"index": 0, "count": 2})
