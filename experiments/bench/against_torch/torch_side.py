"""The steps of torch: the game of a config of gan_jax, as one of four variants.

* tuned: images and networks channels last, fused Adam, one backward pass for each move with the
  other player frozen, and fresh latents for each move, as in gan_jax.
* shared: likewise, but that the generator moves on the fakes that the discriminator has just seen.
* compiled: likewise tuned, with networks compiled, but where a penalty differentiates twice.
* example: as PyTorch's example of DCGAN, which shares fakes too, has a backward pass for real
  examples and one for fakes, and fetches the losses of every step.
"""

import copy
import itertools
import json
import math
import os
import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from experiments.bench.against_torch.sides import serve
from experiments.bench.against_torch.torch_published import (
  PUBLISHED,
  Apply,
  Sum,
  orthogonal,
  path_length,
)

LOSSES = {  # of real logits, of fake logits, of the generator
  "non_saturating": (lambda a: F.softplus(-a), F.softplus, lambda b: F.softplus(-b)),
  "hinge": (lambda a: F.relu(1 - a), lambda b: F.relu(1 + b), torch.neg),
  "wasserstein": (torch.neg, lambda b: b, torch.neg),
  # Of the difference of real and fake logits, and the reverse.
  "relativistic": (lambda a: F.softplus(-a), torch.zeros_like, lambda b: F.softplus(-b)),
}
Shape = tuple[int, ...]
KEYS = "x_train", "y_train"
ACTIVATIONS = {"relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.2)}


def first_map(z: int, side: int, channels: int, bias: bool, tuned: bool) -> list[nn.Module]:
  """Builds the layers from latents to a map, which lies channels last where tuned."""
  last = Apply(lambda x: x.view(-1, side, side, channels).permute(0, 3, 1, 2))
  shape = last if tuned else nn.Unflatten(1, (channels, side, side))
  return [nn.Linear(z, side**2 * channels, bias), shape]


def dense(sizes: list[int], activation: str) -> list[nn.Module]:
  """Builds linear layers, with an activation after each but the last."""
  pairs = itertools.pairwise(sizes)
  return [layer for i, o in pairs for layer in (nn.Linear(i, o), ACTIVATIONS[activation])][:-1]


def active(channels: int) -> list[nn.Module]:
  return [nn.BatchNorm2d(channels), nn.ReLU()]


def make_generator(options: dict[str, Any], z: int, shape: Shape, tuned: bool) -> nn.Module:
  """Builds a generator of examples of this shape, as `options` of the config describe it."""
  name, width = options["name"], options.get("width")
  if name in PUBLISHED:
    return PUBLISHED[name](options, shape, z)
  up = lambda i, o, bias=False: nn.ConvTranspose2d(i, o, 4, 2, 1, bias=bias)
  conv = lambda i, o: nn.Conv2d(i, o, 3, 1, 1)
  if name == "mlp_generator":
    layers = dense([z, *options["hidden"], math.prod(shape)], options["activation"])
    return nn.Sequential(*layers, *[nn.Tanh()] * (options["output"] == "tanh"))
  if name == "sngan_generator":
    double, same = nn.Upsample(scale_factor=2), lambda: conv(width, width)
    layers = first_map(z, 4, width, True, tuned)
    for _ in range(3):
      branch = [*active(width), double, same(), *active(width), same()]
      layers.append(Sum(nn.Sequential(*branch), nn.Sequential(nn.Conv2d(width, width, 1), double)))
    layers += [*active(width), conv(width, 3)]
  elif name == "dcgan_generator":
    layers = [*first_map(z, 7, 2 * width, False, tuned), *active(2 * width), up(2 * width, width)]
    layers += [*active(width), up(width, 1, True)]
  else:
    layers = [*first_map(z, 7, 128, False, tuned), *active(128), up(128, 128), *active(128)]
    layers += [up(128, 64), *active(64), conv(64, 1)]
  return nn.Sequential(*layers, nn.Tanh())


def make_discriminator(options: dict[str, Any], z: int, shape: Shape) -> nn.Module:
  """Builds a discriminator of examples of this shape, as `options` of the config describe it."""
  name, width, norm = options["name"], options.get("width"), options.get("norm")
  if name in PUBLISHED:
    return PUBLISHED[name](options, shape, z)
  if name == "mlp_discriminator":
    return nn.Sequential(*dense([math.prod(shape), *options["hidden"], 1], options["activation"]))
  if name == "sngan_discriminator":
    conv = lambda i, window: spectral_norm(nn.Conv2d(i, width, window, 1, window // 2))
    half, same, layers = nn.AvgPool2d(2), nn.Identity(), []
    for i, shrink in ((3, half), (width, half), (width, same), (width, same)):
      branch = [nn.ReLU(), conv(i, 3), nn.ReLU(), conv(width, 3), shrink][i == 3 :]
      shortcut = nn.Sequential(half, conv(i, 1)) if shrink is half else same
      layers.append(Sum(nn.Sequential(*branch), shortcut))
    layers.append(Apply(lambda x: F.relu(x).float().sum((2, 3))))
    return nn.Sequential(*layers, spectral_norm(nn.Linear(width, 1)))
  down = lambda i, o, bias: nn.Conv2d(i, o, 4, 2, 1, bias=bias)
  middle = [nn.GroupNorm(1, 2 * width)] if norm == "layer" else []
  layers = [down(1, width, True), nn.LeakyReLU(0.2), down(width, 2 * width, not middle), *middle]
  return nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(98 * width, 1))


def make_data(config: dict[str, Any], tuned: bool) -> Callable[[], list[torch.Tensor]]:
  """Builds the function that draws examples, and their labels, of data that lie on the device."""
  batch = (config["batch_size"],)
  if config["data"] == "ring8":
    angles = torch.arange(8) * math.pi / 4
    centers = torch.stack([angles.cos(), angles.sin()], 1)
    return lambda: [torch.normal(centers[torch.randint(8, batch)], 0.01)]
  file = f"gan_jax/data/sources/bundled/{config['data']}.npz"
  with np.load(file, allow_pickle=False) as arrays:
    x, y = (torch.from_numpy(arrays[key]).to(torch.get_default_device()) for key in KEYS)
  x = x[:, None] / 127.5 - 1
  if side := config["data_options"]["image_size"]:
    channels = config["data_options"]["channels"] or 1
    x = F.interpolate(x, (side, side)).expand(-1, channels, -1, -1)
  if config["generator"]["name"] == "mlp_generator":
    x = x.flatten(1)
  elif tuned:
    x = x.contiguous(memory_format=torch.channels_last)
  data = [x, y.long()] if config["conditional"] else [x]

  def draw() -> list[torch.Tensor]:
    places = torch.randint(len(x), batch)
    return [part[places] for part in data]

  return draw


def value_at(number: Any, rounds: int) -> float:
  """Computes a number, or half a cosine of one, after so many rounds."""
  if not isinstance(number, dict):
    return number
  start, end = number["init_value"], number["end_value"]
  share = min(rounds / number["transition_steps"], 1)
  return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def decay(average: dict[str, Any], batch: int, rounds: int) -> float:
  """Computes the share of itself that a moving average keeps."""
  if average["name"] == "decay":
    return average["decay"]
  images = value_at(average["half_life"], rounds)
  if average["ramp_up"]:
    images = min(images, average["ramp_up"] * batch * rounds)
  return 0.5 ** (batch / max(images, 1e-8))


def make_step(config: dict[str, Any], variant: str) -> tuple[Callable, dict[str, nn.Module]]:
  """Builds a step of a game, and its networks by name."""
  tuned, shares = variant != "example", variant in ("shared", "example")
  draw, z, k = make_data(config, tuned), config["latent"]["dim"], config["k"]
  batch, shape = config["batch_size"], tuple(draw()[0].shape[1:])
  networks = {
    "discriminator": make_discriminator(config["discriminator"], z, shape),
    "generator": make_generator(config["generator"], z, shape, tuned),
  }
  for net in networks.values():
    net.to(memory_format=torch.channels_last if tuned else torch.contiguous_format)
  d, g = networks.values()
  fast_d, fast_g = map(torch.compile, (d, g)) if variant == "compiled" else (d, g)
  adams = {
    name: torch.optim.Adam(net.parameters(), fused=tuned or None) for name, net in networks.items()
  }
  floats = lambda net: [x for x in net.state_dict().values() if x.is_floating_point()]
  average, (now, ema) = config["average"], map(floats, (g, copy.deepcopy(g)))
  of_real, of_fake, of_generator = LOSSES[config["loss"]]
  relative = config["loss"] == "relativistic"
  lazy = config["regularizer_options"]
  apart, gp = config["regularizers"]["r1"], config["regularizers"]["gradient_penalty"]
  terms = {
    "orthogonal": lambda: orthogonal(g),
    "path_length": path_length(g, z, batch, **lazy["path_length"]),
  }
  half, device = config["generator"]["dtype"] == "bfloat16", torch.get_default_device().type
  autocast = lambda: torch.autocast(device, torch.bfloat16, enabled=half)
  logits = lambda x, *y, net=fast_d: net(x, *y)[:, 0].float()
  generate = lambda *y: fast_g(torch.randn(batch, z), *y).float()
  rounds = 0

  def weight(weights: dict[str, Any], name: str) -> float:
    every = lazy[name]["every"]
    return 0 if rounds % every else every * value_at(weights[name], rounds)

  def move(name: str, *losses: torch.Tensor) -> None:
    adam, options = adams[name], config["optimizers"][name]
    adam.zero_grad(set_to_none=True)
    for loss in losses:
      loss.backward()
    rate, *betas = (value_at(options[key], rounds) for key in ("learning_rate", "b1", "b2"))
    adam.param_groups[0].update(lr=rate, betas=tuple(betas))
    adam.step()

  def squared_norm(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    return slope.float().square().flatten(1).sum(1)

  def move_discriminator(
    real: torch.Tensor, fake: torch.Tensor, y: list[torch.Tensor]
  ) -> torch.Tensor:
    penalties = {name: weight(config["regularizers"], name) for name in ("r1", "r2")}
    with autocast():
      if apart:
        inputs = zip((real, fake), penalties.values(), strict=True)
        net = d if any(penalties.values()) else fast_d
        a, b = (logits(x.requires_grad_(w > 0), *y, net=net) for x, w in inputs)
      elif tuned:
        a, b = logits(torch.cat([real, fake]), *(torch.cat([x, x]) for x in y)).chunk(2)
      else:
        a, b = (logits(x, *y) for x in (real, fake))
      losses = [of_real(a - b if relative else a).mean(), of_fake(b).mean()]
      for x, out, w in zip((real, fake), (a, b), penalties.values(), strict=True):
        if w:
          losses[0] = losses[0] + w / 2 * squared_norm(x, out).mean()
      if gp:
        share = torch.rand(len(real), *[1] * (real.dim() - 1))
        between = torch.lerp(real, fake, share).requires_grad_()
        norm = (squared_norm(between, logits(between, *y, net=d)) + 1e-12).sqrt()
        losses[0] = losses[0] + gp * (norm - 1).square().mean()
    move("discriminator", *([sum(losses)] if tuned else losses))
    return sum(losses).detach()

  def step() -> list[Any]:
    nonlocal rounds
    for left in reversed(range(k)):
      real, *y = draw()
      with torch.set_grad_enabled(shares and not left), autocast():
        fake = generate(*y)
      before = move_discriminator(real, fake.detach(), y)
    d.requires_grad_(not tuned)
    with autocast():
      if not shares:
        real, *y = draw() if relative or y else [real]
        fake = generate(*y)
      of_fakes = logits(fake, *y)
      loss = of_generator(of_fakes - logits(real.detach()) if relative else of_fakes).mean()
      for name, term in terms.items():
        if w := weight(config["generator_regularizers"], name):
          loss = loss + w * term()
    move("generator", loss)
    d.requires_grad_(True)
    if average["name"] != "none":
      torch._foreach_lerp_(ema, now, 1 - decay(average, batch, rounds))
    rounds += 1
    return [x if tuned else x.item() for x in (before, loss.detach())]

  return step, networks


def main(config: dict[str, Any], variant: str, device: str) -> None:
  threads = len(os.sched_getaffinity(0))
  torch.set_num_threads(threads)
  torch.set_default_device(device)
  torch.manual_seed(0)
  random.seed(0)
  if device == "cuda" and variant != "example":  # as XLA does by itself
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
  step, networks = make_step(config, variant)

  # So many that each window has its share of lazy terms.
  cycle = math.lcm(*(options["every"] for options in config["regularizer_options"].values()))

  def play(calls: int) -> None:
    for _ in range(calls * cycle):
      losses = step()
    assert all(math.isfinite(x) for x in losses), losses  # which waits for the device

  sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in networks.items()}
  name = torch.cuda.get_device_name() if device == "cuda" else f"cpu, {threads} threads"
  serve(play, steps=cycle, parameters=sizes, machine=f"torch {torch.__version__}: {name}")


if __name__ == "__main__":
  main(**json.loads(sys.argv[1]))
