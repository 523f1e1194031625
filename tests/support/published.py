"""Weights of published code: their names and layouts, and ours."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax.nets.linear import Linear


def shapes(net, *shape):
  x = jax.ShapeDtypeStruct(shape, jnp.float32)
  return jax.eval_shape(lambda x: net.init_with_output(jax.random.key(0), x, train=False), x)


def leaf_paths(net, shape, names):
  """Maps names of published weights to the paths of a network's parameters.

  Args:
    net: a network with instance norm, which has no parameters.
    shape: of its input, [B, H, W, C].
    names: "LAYER.weight" and "LAYER.bias" in the order of the published state dict, in which layers
      stand in the order of their calls.

  Returns:
    {name: path}, such as {"model.1.weight": ("ReflectConv_0", "kernel")}.
  """
  called = []

  def record(method, arguments, options, context):
    if isinstance(context.module, Linear) and context.method_name == "__call__":
      called.append(context.module.path)
    return method(*arguments, **options)

  with nn.intercept_methods(record):
    shapes(net, *shape)
  layers = dict.fromkeys(name.rpartition(".")[0] for name in names)
  paths = dict(zip(layers, called, strict=True))
  leaves = {"weight": "kernel", "bias": "bias"}
  return {name: (*paths[(at := name.rpartition("."))[0]], leaves[at[2]]) for name in names}


def in_our_layout(array, path):
  """Transposes a published weight, OIHW, or of transposed convolutions IOHW, to HWIO."""
  if array.ndim == 1:
    return array
  transposed = path[-2].startswith("Transposed")
  return (
    array[:, :, ::-1, ::-1].transpose(2, 3, 0, 1) if transposed else array.transpose(2, 3, 1, 0)
  )
