"""Networks by name: their sections and the modules that these name."""

import inspect
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from ml_collections import ConfigDict

from gan_jax.checks import takes
from gan_jax.nets import NETWORKS
from gan_jax.run.config.sections.key import (
  Section,
  argument_docs,
  check_known,
  lookup,
  named,
  naming,
)

DTYPES = {name: jnp.dtype(name) for name in ("float32", "bfloat16", "float16")}
# Fields that the data, the kind of game and the layout decide.
PROVIDED = {
  "shape",
  "channels",
  "features",
  "num_classes",
  "noisy",
  "head",
  "num_levels",
  "axis_name",
  "parent",
}
RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}  # of a generator's pixels, by its output


def section(name: str, **options: Any) -> Section:
  """Builds the section of a player whose network is this one by default, with these options."""
  about = argument_docs(NETWORKS[name].__doc__)
  meanings = {"name": f"one of the networks below that end in _{name.split('_')[-1]}"}
  meanings |= {option: about.get(option, "") for option in _options(name)}
  usual = named(network, "network", name, meanings)
  return usual._replace(default=network(name, **options))


def network(name: str, **options: Any) -> ConfigDict:
  """Builds the config of a network: its name, and every option it takes.

  Args:
    name: one of `gan_jax.nets.NETWORKS`.
    **options: other values than the network's defaults.

  Raises:
    ValueError: for an unknown name or option.
  """
  fields = _options(name)
  check_known(options, fields, f"options of network {name!r}")
  return ConfigDict({"name": name, **fields, **options})


def _options(name: str) -> dict[str, Any]:
  """Lists what a config may set of a network, with its defaults."""
  module = lookup(NETWORKS, name, "network")
  fields = {
    key: parameter.default
    for key, parameter in inspect.signature(module).parameters.items()
    if key not in PROVIDED | {"name"}
  }
  if "dtype" in fields:
    fields["dtype"] = jnp.dtype(fields["dtype"]).name
  return fields


def build_network(options: Mapping[str, Any], **provided: Any) -> nn.Module:
  """Builds the module that a section names.

  Args:
    options: the complete section.
    **provided: fields that the data decide, such as a generator's shape, and the number of classes
      of a network that takes labels; None for one that does not.

  Raises:
    ValueError: for a dtype that there is not, or a network that does not take these fields.
  """
  options = dict(options)
  name = options.pop("name")
  if "dtype" in options:
    options["dtype"] = lookup(DTYPES, options["dtype"], "dtype")
  if provided.get("num_classes", 0) is None and not takes(NETWORKS[name], num_classes=None):
    del provided["num_classes"]
  if not takes(NETWORKS[name], **provided, **options):
    raise ValueError(
      f"the network {name!r} cannot be made with {', '.join([*provided, *options])}, which a config"
      " gives it: a generator has a field shape, a translator channels, an encoder features,"
      " networks that are given labels have num_classes, discriminators with a task a head, and"
      " generators of several levels num_levels"
    )
  return NETWORKS[name](**provided, **options)


def build_networks(config: ConfigDict, provided: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
  """Builds the modules of sections of a config; {section: fields that the data decide}."""
  nets: dict[str, nn.Module] = {}
  for name, fields in provided.items():
    with naming(f"config.{name}"):
      nets[name] = build_network(config[name], **fields)
  return nets


def check_output(generator: Mapping[str, Any], pixel_range: tuple[float, float] | None) -> None:
  """Refuses a generator whose pixels cannot be those of the data."""
  output = generator.get("output", "")
  if pixel_range and output in RANGES and RANGES[output] != tuple(map(float, pixel_range)):
    raise ValueError(
      f"the generator's output {output!r} makes pixels in {RANGES[output]}, and "
      f"config.data_options.pixel_range scales the data's to {pixel_range}; set one to "
      "fit the other, or config.generator.output='linear'"
    )


def check_extractor(
  discriminator: Mapping[str, Any], pixel_range: tuple[float, float] | None
) -> None:
  """Refuses a trained extractor of features for pixels that it was not trained on."""
  if discriminator.get("extractor") == "classifier" and pixel_range != RANGES["tanh"]:
    raise ValueError(
      "config.discriminator.extractor='classifier' is of pixels in (-1, 1), and the data's are in "
      f"{pixel_range}: set config.data_options.pixel_range=(-1, 1), or extractor='random'"
    )
