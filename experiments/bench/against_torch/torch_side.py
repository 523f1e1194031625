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
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from experiments.bench.against_torch.sides import serve

LOSSES = {  # of real logits, of fake logits, of the generator
  "non_saturating": (lambda a: F.softplus(-a), F.softplus, lambda b: F.softplus(-b)),
  "hinge": (lambda a: F.relu(1 - a), lambda b: F.relu(1 + b), torch.neg),
  "wasserstein": (torch.neg, lambda b: b, torch.neg),
}
ACTIVATIONS = {"relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.2)}


class Sum(nn.Module):
  """Adds the outputs of two branches."""

  def __init__(self, *branches: nn.Module) -> None:
    super().__init__()
    self.branches = nn.ModuleList(branches)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return self.branches[0](x) + self.branches[1](x)


class Apply(nn.Module):
  """Applies a function without parameters."""

  def __init__(self, function: Callable) -> None:
    super().__init__()
    self.forward = function


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


def make_generator(options: dict[str, Any], z: int, size: int, tuned: bool) -> nn.Module:
  """Builds a generator of `size` numbers, as `options` of the config describe it."""
  name, width = options["name"], options.get("width")
  up = lambda i, o, bias=False: nn.ConvTranspose2d(i, o, 4, 2, 1, bias=bias)
  conv = lambda i, o: nn.Conv2d(i, o, 3, 1, 1)
  if name == "mlp_generator":
    layers = dense([z, *options["hidden"], size], options["activation"])
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


def make_discriminator(options: dict[str, Any], size: int) -> nn.Module:
  """Builds a discriminator of `size` numbers, as `options` of the config describe it."""
  name, width, norm = options["name"], options.get("width"), options.get("norm")
  if name == "mlp_discriminator":
    return nn.Sequential(*dense([size, *options["hidden"], 1], options["activation"]))
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


def make_data(config: dict[str, Any], tuned: bool) -> Callable[[], torch.Tensor]:
  """Builds the function that draws a batch of data, which lie on the device."""
  batch = (config["batch_size"],)
  if config["data"] == "ring8":
    angles = torch.arange(8) * math.pi / 4
    centers = torch.stack([angles.cos(), angles.sin()], 1)
    return lambda: torch.normal(centers[torch.randint(8, batch)], 0.01)
  file = f"gan_jax/data/sources/bundled/{config['data']}.npz"
  with np.load(file, allow_pickle=False) as arrays:
    x = torch.from_numpy(arrays["x_train"])[:, None].to(torch.get_default_device()) / 127.5 - 1
  if side := config["data_options"]["image_size"]:
    x = F.interpolate(x, (side, side)).expand(-1, config["data_options"]["channels"], -1, -1)
  if config["generator"]["name"] == "mlp_generator":
    x = x.flatten(1)
  elif tuned:
    x = x.contiguous(memory_format=torch.channels_last)
  return lambda: x[torch.randint(len(x), batch)]


def make_step(config: dict[str, Any], variant: str) -> tuple[Callable, dict[str, nn.Module]]:
  """Builds a step of a game, and its networks by name."""
  tuned, shares = variant != "example", variant in ("shared", "example")
  draw, z, k = make_data(config, tuned), config["latent"]["dim"], config["k"]
  size = draw()[0].numel()
  networks = {
    "discriminator": make_discriminator(config["discriminator"], size),
    "generator": make_generator(config["generator"], z, size, tuned),
  }
  for net in networks.values():
    net.to(memory_format=torch.channels_last if tuned else torch.contiguous_format)
  d, g = networks.values()
  fast_d, fast_g = map(torch.compile, (d, g)) if variant == "compiled" else (d, g)
  rates = [(config["optimizers"][name], net) for name, net in networks.items()]
  adam_d, adam_g = (
    torch.optim.Adam(x.parameters(), o["learning_rate"], (o["b1"], o["b2"]), fused=tuned or None)
    for o, x in rates
  )
  floats = lambda net: [x for x in net.state_dict().values() if x.is_floating_point()]
  average, (now, ema) = config["average"], map(floats, (g, copy.deepcopy(g)))
  of_real, of_fake, of_generator = LOSSES[config["loss"]]
  r1, gp = (config["regularizers"][name] for name in ("r1", "gradient_penalty"))
  half, device = config["generator"]["dtype"] == "bfloat16", torch.get_default_device().type
  autocast = lambda: torch.autocast(device, torch.bfloat16, enabled=half)
  logits = lambda x, net=fast_d: net(x)[:, 0].float()
  generate = lambda: fast_g(torch.randn(config["batch_size"], z)).float()

  def squared_norm(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    return slope.float().square().flatten(1).sum(1)

  def move_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    with autocast():
      if r1:
        a, b = logits(real.requires_grad_(), d), logits(fake)
      else:
        a, b = logits(torch.cat([real, fake])).chunk(2) if tuned else map(logits, (real, fake))
      losses = [of_real(a).mean(), of_fake(b).mean()]
      if r1:
        losses[0] = losses[0] + r1 / 2 * squared_norm(real, a).mean()
      if gp:
        share = torch.rand(len(real), *[1] * (real.dim() - 1))
        between = torch.lerp(real, fake, share).requires_grad_()
        norm = (squared_norm(between, logits(between, d)) + 1e-12).sqrt()
        losses[0] = losses[0] + gp * (norm - 1).square().mean()
    adam_d.zero_grad(set_to_none=True)
    for loss in [sum(losses)] if tuned else losses:
      loss.backward()
    adam_d.step()
    return sum(losses).detach()

  def step() -> list[Any]:
    for left in reversed(range(k)):
      with torch.set_grad_enabled(shares and not left), autocast():
        fake = generate()
      before = move_discriminator(draw(), fake.detach())
    d.requires_grad_(not tuned)
    with autocast():
      loss = of_generator(logits(fake if shares else generate())).mean()
    adam_g.zero_grad(set_to_none=True)
    loss.backward()
    d.requires_grad_(True)
    adam_g.step()
    if average["name"] != "none":
      torch._foreach_lerp_(ema, now, 1 - average["decay"])
    return [x if tuned else x.item() for x in (before, loss.detach())]

  return step, networks


def main(config: dict[str, Any], variant: str, device: str) -> None:
  threads = len(os.sched_getaffinity(0))
  torch.set_num_threads(threads)
  torch.set_default_device(device)
  torch.manual_seed(0)
  if device == "cuda" and variant != "example":  # as XLA does by itself
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
  step, networks = make_step(config, variant)

  def play(steps: int) -> None:
    for _ in range(steps):
      losses = step()
    assert all(math.isfinite(x) for x in losses), losses  # which waits for the device

  sizes = {name: sum(p.numel() for p in net.parameters()) for name, net in networks.items()}
  name = torch.cuda.get_device_name() if device == "cuda" else f"cpu, {threads} threads"
  serve(play, steps=1, parameters=sizes, machine=f"torch {torch.__version__}: {name}")


if __name__ == "__main__":
  main(**json.loads(sys.argv[1]))
