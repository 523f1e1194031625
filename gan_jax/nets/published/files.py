"""The networks of files that hold one each: which of a game's networks each is.

A file of an average has "ema" in its name, as the published code writes it; translators and their
discriminators are told by the letters A and B at the end of theirs.
"""

import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gan_jax.nets.published import biggan, mimicry, translation
from gan_jax.nets.published.layout import Arrays, Network, Weights
from gan_jax.torch_file import named_arrays

Read = Callable[[Arrays], Network]
# In the published code G_A translates A to B, and D_A rivals B.
_OF_CYCLE = {
  ("G", "A"): "a_to_b",
  ("G", "B"): "b_to_a",
  ("D", "A"): "discriminator_b",
  ("D", "B"): "discriminator_a",
}
_AVERAGE = re.compile(r"(?<![a-z])ema(?![a-z])", re.IGNORECASE)  # and not "cinema"
_NET = re.compile(r"(?:.*_)?net_?([GD])_([AB])\.pth")


def read_biggan(files: Sequence[tuple[str, Any]], most: int) -> Weights:
  """Reads files of BigGAN-PyTorch, one of a network each.

  Args:
    files: names of the files, and what is in each, as of `torch_file.read_torch`.
    most: largest size of all arrays of a file in bytes.

  Returns:
    The networks; of a generator and its average, a file may have either or both.

  Raises:
    ValueError: another network, or none, or one twice.
  """
  rival = lambda net: ("biggan_discriminator", {"width": net.options["width"]})
  return _two(files, most, biggan.is_generator, biggan.generator, biggan.discriminator, rival)


def read_studiogan(files: Sequence[tuple[str, Any]], most: int) -> Weights:
  """Reads networks of StudioGAN's backbone big_resnet; arguments and errors as of `read_biggan`."""

  def rival(net: Network) -> tuple[str, Mapping[str, Any]]:
    # At 32 pixels its discriminator has half the channels of its generator.
    width = net.options["width"] // (2 if net.shape[0] == 32 else 1)
    return ("biggan_discriminator", {"width": max(1, width), "rectified_shortcut": True})

  generates = biggan.is_studio_generator
  return _two(files, most, generates, biggan.studio_generator, biggan.studio_discriminator, rival)


def read_mimicry(files: Sequence[tuple[str, Any]], most: int) -> Weights:
  """Reads checkpoints of mimicry; arguments and errors as of `read_biggan`."""
  rival = lambda net: ("sngan_discriminator", {"rectified_shortcut": True})
  return _two(files, most, mimicry.is_generator, mimicry.generator, mimicry.discriminator, rival)


def read_cyclegan(files: Sequence[tuple[str, Any]], most: int) -> Weights:
  """Reads networks of pytorch-CycleGAN-and-pix2pix; arguments and errors as of `read_biggan`.

  The name of a file says which network it is; of a translator alone it may say nothing, which
  translates then what is called A.
  """
  networks: dict[str, Network] = {}
  for file, tree in files:
    arrays, _ = named_arrays(tree, most)
    kind = "G" if translation.is_translator(arrays) else "D"
    match = _NET.fullmatch(pathlib.PurePath(file).name)
    if match is None and kind == "D":
      raise ValueError(f"{file} is of a discriminator: call it latest_net_D_A.pth or ..._B.pth")
    if match and match[1] != kind:
      raise ValueError(f"{file} holds no {match[1]}, as its name says, but a {kind}")
    name = _OF_CYCLE[kind, match[2] if match else "A"]
    read = translation.translator if kind == "G" else translation.discriminator
    _add(networks, name, file, read(arrays))
  for prefix in ("G", "D"):
    pair = [networks[name] for (k, _), name in _OF_CYCLE.items() if k == prefix if name in networks]
    if len({(net.name, str(net.options), net.shape) for net in pair}) > 1:
      raise ValueError("the two networks of a kind differ: expected one architecture for both")
  return Weights(networks)


def sections(weights: Weights) -> Mapping[str, Network]:
  """Returns the networks of a game of translators by the sections of its config."""
  translators = [net for name, net in weights.networks.items() if "_to_" in name]
  rivals = [net for name, net in weights.networks.items() if "_to_" not in name]
  return {
    name: nets[0] for name, nets in (("translator", translators), ("discriminator", rivals)) if nets
  }


def _two(
  files: Sequence[tuple[str, Any]],
  most: int,
  is_generator: Callable[[Arrays], bool],
  generator: Read,
  discriminator: Read,
  rival: Callable[[Network], tuple[str, Mapping[str, Any]]],
) -> Weights:
  """Reads files of a generator, its average, and a discriminator.

  Args:
    rival: (generator) -> name and options of a discriminator that is missing.
  """
  networks: dict[str, Network] = {}
  for file, tree in files:
    arrays, _ = named_arrays(tree, most)
    if not is_generator(arrays):
      _add(networks, "discriminator", file, discriminator(arrays))
    else:
      is_average = _AVERAGE.search(pathlib.PurePath(file).name)
      _add(networks, "average" if is_average else "generator", file, generator(arrays))
  average = networks.pop("average", networks.get("generator"))
  if average is None:
    raise ValueError("there is no generator among the files: name one, with commas between files")
  networks = {"generator": networks.get("generator", average), **networks}
  missing = {} if "discriminator" in networks else {"discriminator": rival(average)}
  return Weights(networks, {"generator": average.variables}, missing)


def _add(networks: dict[str, Network], name: str, file: str, network: Network) -> None:
  if name in networks:
    raise ValueError(f"{file} is a second {name}: name one file of each network")
  networks[name] = network
