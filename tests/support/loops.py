"""What a program has within its loops."""

from jax.extend.core import jaxprs_in_params


def primitives(jaxpr, in_loop=False):
  """Yields the names of the primitives that are within a loop, "slow convolution" for some."""
  for equation in jaxpr.eqns:
    name = equation.primitive.name
    if in_loop:
      yield "slow convolution" if "conv" in name and is_slow(equation.params) else name
    for inner in jaxprs_in_params(equation.params):
      yield from primitives(inner, in_loop or name in ("scan", "while"))


def loop_results(jaxpr):
  """Yields the types of what loops return, results of every turn among it."""
  for equation in jaxpr.eqns:
    if equation.primitive.name in ("scan", "while"):
      yield from (result.aval.dtype.name for result in equation.outvars)
    for inner in jaxprs_in_params(equation.params):
      yield from loop_results(inner)


def is_slow(how):
  """Tells whether XLA is slow at a convolution within a loop: at all but those of `direct.py`.

  The gradients that JAX derives have a stride's zeros, groups, or axes in another order.
  """
  if "dimension_numbers" not in how:  # a conversion of types
    return False
  strides, axes = how["window_strides"], len(how["window_strides"])
  groups = how["feature_group_count"], how["batch_group_count"]
  # Batch and channels, then space; of a kernel outputs and inputs.
  images = (0, axes + 1, *range(1, axes + 1))
  kernels = (axes + 1, axes, *range(axes))
  ones = (*strides, *how["lhs_dilation"], *how["rhs_dilation"], *groups)
  return set(ones) != {1} or tuple(how["dimension_numbers"]) != (images, kernels, images)
