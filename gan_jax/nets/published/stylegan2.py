"""StyleGAN2-ADA, as NVlabs/stylegan2-ada-pytorch pickles its networks, and StyleGAN3 its copy.

Karras et al. 2020 (arXiv:1912.04958, arXiv:2006.06676). A network is pickled with the source text
of its class, which is left as text, and with the arguments that it was made with: these say what it
is. The files hold no state of optimizers and no count of images. The generator of StyleGAN3's copy
has the arguments of synthesis among its own, and both its networks clamp at 256 unless they say
otherwise.
"""

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_jax.nets.published.layout import (
  Arrays,
  Network,
  Path,
  Weights,
  build,
  channels_last,
  one_of,
)
from gan_jax.nets.published.layout import in_our_layout as layout
from gan_jax.torch_file import DEEPEST, Inert, arrays_of, state_dict

OBJECTS: Mapping[str, type] = {
  "torch_utils.persistence._reconstruct_persistent_obj": Inert,
  "dnnlib.util.EasyDict": dict,
  "numpy.dtype": Inert,
  "numpy.ndarray": Inert,
  **{
    f"numpy.{room}.multiarray.{name}": Inert
    for room in ("core", "_core")
    for name in ("scalar", "_reconstruct")
  },
}
ACTIVATIONS = {"lrelu": "leaky_relu"} | {
  name: name for name in ("linear", "relu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")
}
ALL = 1 << 30  # examples of a group: as many as there are
# Arguments: what they are here, "" for nothing that its numbers depend on in float32, or what the
# shapes of weights say.
_SYNTHESIS = {
  **{name: name for name in ("channel_base", "channel_max", "architecture", "conv_clamp")},
  "activation": "activation",
  "resample_filter": "resample_filter",
  **dict.fromkeys(("num_fp16_res", "fp16_channels_last", "fused_modconv_default"), ""),
}
_D_MAPPING = {
  "num_layers": "mapping_layers",
  "lr_multiplier": "lr_multiplier",
  "activation": "activation",
  **dict.fromkeys(("embed_features", "layer_features"), ""),
}
_MAPPING = _D_MAPPING | {"w_avg_beta": "w_avg_beta"}
_EPILOGUE = {name: name for name in ("mbstd_group_size", "mbstd_num_channels", "activation")}
_BLOCK = {
  **{name: name for name in ("activation", "resample_filter")},
  **dict.fromkeys(("fp16_channels_last", "freeze_layers"), ""),
}
_G_ARGUMENTS = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
_D_ARGUMENTS = ("c_dim", "img_resolution", "img_channels")


def read(files: Sequence[tuple[str, Any]], most: int) -> Weights:
  """Reads the networks of a snapshot.

  Args:
    files: its name, and what is in it, as of `torch_file.read_torch` with `OBJECTS`.
    most: largest size of all arrays of a network in bytes.

  Returns:
    The generator, its average, and the discriminator if there is one.

  Raises:
    ValueError: there is no generator, or it is not StyleGAN2's.
  """
  tree = one_of(files)
  if not isinstance(tree, dict) or not ({"G", "G_ema"} & tree.keys()):
    raise ValueError("it has no G and no G_ema, as snapshots of StyleGAN2 have")
  raw, average = (tree.get(key) or tree[other] for key, other in (("G", "G_ema"), ("G_ema", "G")))
  arrays, given = _parts(raw, _G_ARGUMENTS, most)
  networks = {"generator": generator(arrays, given)}
  if tree.get("D") is not None:
    parts = _parts(tree["D"], _D_ARGUMENTS, most)
    networks["discriminator"] = discriminator(*parts, _default_clamp(given))
  shared = ("channel_base", "channel_max", "conv_clamp")
  options = networks["generator"].options
  sizes = {key: options[key] for key in shared if key in options}
  rival = {"discriminator": ("stylegan2_discriminator", sizes)}
  missing = {} if "discriminator" in networks else rival
  averages = {"generator": generator(*_parts(average, _G_ARGUMENTS, most)).variables}
  return Weights(networks, averages, missing)


def path_of(name: str) -> Path:
  """Returns the path of a weight or buffer of the generator's networks or the discriminator."""
  is_buffer = name.rpartition(".")[2] in ("w_avg", "noise_const")
  parts = ("kernel" if part == "weight" else part for part in name.split("."))
  return ("batch_stats" if is_buffer else "params", *parts)


def path_in_generator(name: str) -> Path:
  """Returns the path of a weight or buffer of a generator, in which both networks are stages."""
  stage, _, rest = name.partition(".")
  collection, *parts = path_of(rest)
  return (collection, f"{stage}_network", *parts)


def in_our_layout(path: Path, shape: tuple[int, ...], array: np.ndarray) -> np.ndarray:
  """Transposes an array as `layout.in_our_layout`; the layer after the last map sees it flat."""
  if path[-2:] == ("fc", "kernel"):
    array = channels_last(array, array.shape[1] // 16, axis=1)
  return layout(path, shape, array)


def generator(arrays: Arrays, given: Mapping[str, Any]) -> Network:
  """Builds the generator of a state dict and the arguments that it was made with."""
  if "synthesis.input.freqs" in arrays:
    raise ValueError("it is StyleGAN3, whose networks are not here: expected StyleGAN2")
  if "synthesis.b4.const" not in arrays:
    raise ValueError("it has no synthesis.b4.const: it is another network than StyleGAN2's")
  own: dict[str, Any] = dict.fromkeys(_G_ARGUMENTS, "") | {"w_dim": "w_dim"}
  own |= {"mapping_kwargs": _MAPPING}
  own |= {"synthesis_kwargs": _SYNTHESIS} if "synthesis_kwargs" in given else _SYNTHESIS
  options = {"channel_base": 32768, "mapping_layers": 8, "conv_clamp": _default_clamp(given)}
  options |= _options(given, own, "the generator")
  synthesis = given.get("synthesis_kwargs", given)
  _check_activations("the generator", given.get("mapping_kwargs"), synthesis)
  side, classes = _number(given, "img_resolution"), _number(given, "c_dim")
  shape = (side, side, _number(given, "img_channels"))
  paths = {name: path_in_generator(name) for name in arrays if _is_ours(name)}
  return build(
    "stylegan2_generator",
    options,
    arrays,
    paths,
    shape=shape,
    latent=_number(given, "z_dim"),
    classes=classes or None,
    fields={"shape": shape, "num_classes": classes or None},
  )


def discriminator(
  arrays: Arrays, given: Mapping[str, Any], conv_clamp: float | None = None
) -> Network:
  """Builds the discriminator of a state dict and the arguments that it was made with.

  Args:
    arrays: state dict.
    given: arguments.
    conv_clamp: bound of one that was made without that argument.
  """
  side, classes = _number(given, "img_resolution"), _number(given, "c_dim")
  own = dict.fromkeys(_D_ARGUMENTS, "") | _SYNTHESIS | {"cmap_dim": "cmap_dim"}
  # Without labels there is no mapping network, whatever its arguments.
  of: dict[str, Any] = {"block_kwargs": _BLOCK, "epilogue_kwargs": _EPILOGUE}
  of |= {"mapping_kwargs": _D_MAPPING if classes else ""}
  options = {"channel_base": 32768, "architecture": "resnet", "conv_clamp": conv_clamp}
  options |= {"mbstd_group_size": 4, **_options(given, own | of, "the discriminator")}
  _check_activations("the discriminator", *(given.get(part) for part in of if of[part]))
  paths = {name: path_of(name) for name in arrays if _is_ours(name)}
  return build(
    "stylegan2_discriminator",
    options,
    arrays,
    paths,
    shape=(side, side, _number(given, "img_channels")),
    classes=classes or None,
    fields={"num_classes": classes or None},
    place=in_our_layout,
  )


def _default_clamp(given: Mapping[str, Any]) -> float | None:
  """Returns the bound of the networks of one snapshot, by its generator's arguments."""
  return None if "synthesis_kwargs" in given else 256.0


def _parts(
  module: Any, positions: tuple[str, ...], most: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Returns the arrays of a network, and the arguments that it was made with."""
  own = _attributes(module)
  args, kwargs = own.get("_init_args") or (), own.get("_init_kwargs") or {}
  if not isinstance(kwargs, dict) or not isinstance(args, tuple | list):
    raise ValueError("it does not say which arguments the networks were made with")
  given = {**dict(zip(positions, args, strict=False)), **kwargs}
  return arrays_of(state_dict(module, _attributes), most), given


def _attributes(module: Any) -> Mapping[str, Any]:
  """Returns the attributes of an object that was pickled with its source text."""
  if isinstance(module, Inert) and not module.attributes and len(module.arguments) == 1:
    about = module.arguments[0]
    state = about.get("state") if isinstance(about, dict) else None
    return state if isinstance(state, dict) else {}
  return module.attributes if isinstance(module, Inert) else {}


def _is_ours(name: str) -> bool:
  """Checks whether a name is no constant filter."""
  return not re.fullmatch(r"(.*\.)?resample_filter", name)


def _check_activations(who: str, *parts: Mapping[str, Any] | None) -> None:
  """Checks that the parts of a network have one activation, as all layers have here."""
  names = sorted({str((part or {}).get("activation") or "lrelu") for part in parts})
  if len(names) > 1:
    raise ValueError(
      f"{who} was made with the activations {reprlib.repr(names):.40} in its parts, where all "
      "layers have one here"
    )


def _options(given: Mapping[str, Any], known: Mapping[str, Any], who: str) -> dict[str, Any]:
  """Translates arguments; refuses those that the networks here do not have."""
  options: dict[str, Any] = {}
  for name, value in given.items():
    field = known.get(name)
    if isinstance(field, Mapping):
      options |= _options(value or {}, field, f"{who}, {name}")
    elif field is None and value is not None and not (name == "use_noise" and value is True):
      was = f"{name}={reprlib.repr(value):.40}"
      raise ValueError(f"{who} was made with {was}, which has no counterpart here")
    elif field and (value is not None or field in ("conv_clamp", "mbstd_group_size")):
      options[field] = _plain(field, value)
  return options


def _plain(field: str, value: Any) -> Any:
  if field == "activation":
    if value not in ACTIVATIONS:
      raise ValueError(f"the activation {reprlib.repr(value):.40} has no counterpart here")
    return ACTIVATIONS[value]
  if field == "mbstd_group_size" and value is None:
    return ALL
  if field == "resample_filter":
    return tuple(float(tap) for tap in value)
  if not isinstance(value, int | float | str | None):
    raise ValueError(f"{field} is {reprlib.repr(value):.40}: expected a number or a name")
  if field == "mapping_layers" and not (isinstance(value, int) and value <= DEEPEST):
    raise ValueError(f"{field} is {reprlib.repr(value):.40}: expected at most {DEEPEST}")
  return value


def _number(given: Mapping[str, Any], name: str) -> int:
  value = given.get(name)
  if type(value) is not int or value < 0:
    raise ValueError(
      f"its networks were made with {name}={reprlib.repr(value):.40}: expected a number"
    )
  return value
