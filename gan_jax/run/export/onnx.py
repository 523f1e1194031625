"""A generator as ONNX, by jax2onnx, which wants an older Orbax and so its own environment."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import jax
import jax.export
import numpy as np

from gan_jax.run.export.generator import Generator, random_inputs

TOLERANCE = 1e-4  # of onnxruntime and JAX, both in float32 but with sums in another order
OPSET = 21  # the newest that onnxruntime-web and converters of others read alike
COMPARED = 5  # examples


def model_of(generator: Generator) -> tuple[bytes, float]:
  """Converts a generator of any number of examples, and has onnxruntime draw what JAX draws.

  Args:
    generator: the generator.

  Returns:
    (the model as a file has it, the largest difference of the two, of images in [0, 1]).

  Raises:
    ValueError: a layer that jax2onnx cannot convert, or that comes out as another.
  """
  import onnxruntime

  model = _converted(generator)
  session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
  inputs = random_inputs(generator, COMPARED)
  (own,) = session.run(None, dict(zip(generator.inputs, inputs, strict=True)))
  expected = np.asarray(jax.jit(generator.generate)(*inputs))
  error = float(np.abs(own - expected).max() / max(1.0, np.abs(expected).max()))
  if not error <= TOLERANCE:
    raise ValueError(
      f"the ONNX model draws other examples than JAX, by {error:.1e} where {TOLERANCE:.0e} is"
      " expected: nothing is written; --to=jax keeps the same generator"
    )
  return model, error


def _converted(generator: Generator) -> bytes:
  """Converts a generator, or names the layers that cannot be."""
  from jax2onnx import to_onnx
  from jax2onnx.plugins.plugin_system import PLUGIN_REGISTRY, import_all_plugins

  import_all_plugins()
  # Random numbers of ONNX are others, and differ from runtime to runtime.
  supported = {name for name in PLUGIN_REGISTRY if not name.startswith("random")}
  if missing := unsupported(generator, supported):
    layers = "; ".join(f"{layer or 'the generator'}: {what}" for layer, what in missing.items())
    raise ValueError(
      f"jax2onnx has no ONNX for what these layers compute: {layers}. --to=jax takes every layer"
    )
  (n,) = jax.export.symbolic_shape("n")
  specs = [jax.ShapeDtypeStruct((n, *of.shape), of.dtype) for of in generator.inputs.values()]
  # A translator's images have a name already.
  output = "translated" if "x" in generator.inputs else "x"
  names: dict[str, Any] = {"input_names": list(generator.inputs), "output_names": [output]}
  try:
    with _quiet():
      model = to_onnx(generator.generate, specs, opset=OPSET, **names)
  except Exception as error:  # each of its plugins has its own ways not to know a layer
    reason = (str(error) or type(error).__name__).splitlines()[0]
    raise ValueError(f"jax2onnx cannot convert this generator: {reason}") from error
  return bytes(model.SerializeToString())


def unsupported(generator: Generator, supported: Any) -> dict[str, str]:
  """Lists primitives of a generator that are not among the supported ones, by layer.

  Args:
    generator: the generator.
    supported: names of primitives.

  Returns:
    {path of the layer: names of primitives}.
  """
  specs = [jax.ShapeDtypeStruct((2, *of.shape), of.dtype) for of in generator.inputs.values()]
  missing: dict[str, set[str]] = {}
  for layer, primitive in _primitives(jax.make_jaxpr(generator.generate)(*specs).jaxpr):
    if primitive not in supported:
      missing.setdefault(layer, set()).add(primitive)
  return {layer: ", ".join(sorted(names)) for layer, names in missing.items()}


def _primitives(program: Any, within: str = "") -> Iterator[tuple[str, str]]:
  """Yields (path of the layer, name of the primitive) of what a program computes."""
  for equation in program.eqns:
    stack = str(equation.source_info.name_stack).replace("vmap()", "").strip("/")
    layer = "/".join(filter(None, (within, stack)))
    inner = [p for p in equation.params.values() if hasattr(p, "eqns") or hasattr(p, "jaxpr")]
    for part in inner:
      yield from _primitives(getattr(part, "jaxpr", part), layer)
    if not inner:
      yield layer, equation.primitive.name


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps the converter from logging shapes that it works out itself."""
  logger = logging.getLogger("onnx_ir")
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)
