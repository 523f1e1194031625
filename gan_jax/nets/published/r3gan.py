"""R3GAN, as brownvc/R3GAN names its weights: Huang et al. 2025 (arXiv:2501.05441).

Its snapshots do not say how the networks were made; widths, groups and numbers of blocks are those
of the weights.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.nets.published.layout import Arrays, Network, Path, Weights, build, one_of, take
from gan_jax.nets.r3gan import SMALLEST
from gan_jax.torch_file import Inert, arrays_of, state_dict

_NETWORKS = (
  *("Generator", "Discriminator", "GeneratorStage", "DiscriminatorStage", "GenerativeBasis"),
  *("DiscriminativeBasis", "ResidualBlock", "UpsampleLayer", "DownsampleLayer", "Convolution"),
)
OBJECTS: Mapping[str, type] = {
  **{f"training.networks.{name}": Inert for name in ("Generator", "Discriminator")},
  **{f"R3GAN.Networks.{name}": Inert for name in _NETWORKS},
  **{
    f"R3GAN.{module}{how}": Inert
    for module in (
      "Resamplers.InterpolativeUpsampler",
      "Resamplers.InterpolativeDownsampler",
      "FusedOperators.BiasedActivation",
    )
    for how in ("CUDA", "Reference")
  },
  **{
    f"torch.nn.modules.{name}": Inert
    for name in ("container.ModuleList", "linear.Linear", "conv.Conv2d")
  },
  **{f"torch.{name}": Inert for name in ("float32", "bfloat16", "float16", "device")},
  "dnnlib.util.EasyDict": dict,
}
LAYERS = {"1": "Dense_0", "2": "GroupedConv_0", "3": "Dense_1"}  # of a block, by published number
WHOLE = {"Aggregation": "image", "Extraction": "image", "Embedding": "embedding"}
_PLACE = re.compile(r"MainLayers\.(\d+)\.Layers\.(\d+)\.(.*)")


def read(files: Sequence[tuple[str, Any]], most: int) -> Weights:
  """Reads the networks of a snapshot; arguments and errors as of `stylegan2.read`."""
  tree = one_of(files)
  if not isinstance(tree, dict) or not ({"G", "G_ema"} & tree.keys()):
    raise ValueError("it has no G and no G_ema, as snapshots of R3GAN have")
  arrays = {
    name: arrays_of(state_dict(tree[name], lambda module: module.attributes), most)
    for name in ("G", "G_ema", "D")
    if isinstance(tree.get(name), Inert)
  }
  raw = arrays.get("G", arrays.get("G_ema", {}))
  networks = {"generator": network(raw, from_image=False)}
  if "D" in arrays:
    networks["discriminator"] = network(arrays["D"], from_image=True)
  average = network(arrays.get("G_ema", raw), from_image=False).variables
  mirrored = {key: networks["generator"].options[key][::-1] for key in ("widths", "cardinalities")}
  rival = {"discriminator": ("r3gan_discriminator", mirrored)}
  missing = {} if "discriminator" in networks else rival
  return Weights(networks, {"generator": average}, missing)


def path_of(name: str, from_image: bool) -> Path:
  """Returns the path of a weight.

  Args:
    name: such as "MainLayers.1.Layers.0.LinearLayer1.Layer.weight".
    from_image: whether it is the discriminator's, and not the generator's.

  Raises:
    ValueError: no weight of these networks has this name.
  """
  if (whole := name.partition("Layer")[0]) in WHOLE:
    return ("params", WHOLE[whole], "kernel")
  if not (match := _PLACE.fullmatch(name)):
    raise ValueError(f"it has {name}: it is another network than R3GAN's")
  stage, layer, rest = match.groups()
  if rest.startswith("Basis"):
    return ("params", "basis")
  if rest == "LinearLayer.weight":
    return ("params", "logit" if from_image else "latent", "kernel")
  if rest == "LinearLayer.Layer.weight":
    return ("params", f"transition_{int(stage) + from_image}", "kernel")
  number = re.search(r"(?:LinearLayer|NonLinearity)([123])\.", rest)
  if number is None:
    raise ValueError(f"it has {name}: it is another network than R3GAN's")
  block = f"stage_{stage}_block_{int(layer) - (not from_image)}"
  return ("params", block, LAYERS[number[1]], "bias" if "Bias" in rest else "kernel")


def network(arrays: Arrays, *, from_image: bool) -> Network:
  """Builds the generator or the discriminator of a state dict."""
  arrays = {name.removeprefix("Model."): array for name, array in arrays.items()}
  options = _options(arrays, from_image)
  stages = len(options["widths"])
  image = take(arrays, f"{'Extraction' if from_image else 'Aggregation'}Layer.Layer.weight")
  side = SMALLEST << (stages - 1)
  shape = (side, side, image.shape[1] if from_image else image.shape[0])
  embedding = arrays.get("EmbeddingLayer.weight")
  classes = None if embedding is None else embedding.shape[1]
  size = 0 if embedding is None else len(embedding)
  latent = 0
  if not from_image:
    latent = take(arrays, "MainLayers.0.Layers.0.LinearLayer.weight").shape[1] - size
  paths = {name: path_of(name, from_image) for name in arrays if not _is_filter(name, arrays[name])}
  return build(
    "r3gan_discriminator" if from_image else "r3gan_generator",
    options | {"embedding": size},
    arrays,
    paths,
    shape=shape,
    latent=latent,
    classes=classes,
    fields={"num_classes": classes} | ({} if from_image else {"shape": shape}),
  )


def _options(arrays: Arrays, from_image: bool) -> dict[str, Any]:
  """Reads widths, groups and numbers of blocks off the weights."""
  blocks: dict[int, int] = {}
  for name in arrays:
    if (match := _PLACE.fullmatch(name)) and match[3] == "LinearLayer1.Layer.weight":
      blocks[int(match[1])] = blocks.get(int(match[1]), 0) + 1
  if sorted(blocks) != list(range(len(blocks))) or not blocks:
    raise ValueError("it has no stages of residual blocks: it is another network than R3GAN's")
  weight = lambda stage, layer: take(
    arrays, f"MainLayers.{stage}.Layers.{int(not from_image)}.LinearLayer{layer}.Layer.weight"
  )
  firsts, groups = ([weight(stage, layer) for stage in range(len(blocks))] for layer in (1, 2))
  return {
    "widths": tuple(first.shape[1] for first in firsts),
    "cardinalities": tuple(len(x) // x.shape[1] for x in groups),
    "blocks": tuple(blocks[stage] for stage in range(len(blocks))),
    "expansion": len(firsts[0]) // firsts[0].shape[1],
    "kernel": groups[0].shape[-1],
  }


def _is_filter(name: str, array: np.ndarray) -> bool:
  """Checks whether a name is of the filter between stages; refuses other than the presets' one."""
  if not name.endswith("Resampler.Kernel"):
    return False
  taps = np.outer(*2 * (np.array([1, 3, 3, 1]) / 8,))
  if array.size != taps.size or not np.allclose(array.reshape(4, 4) / array.sum(), taps, atol=1e-6):
    raise ValueError(f"{name} is another filter than [1, 2, 1], the only one that is read")
  return True
