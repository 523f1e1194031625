"""The steps of torch: the game of a config of gan_jax, by one of `VARIANTS`.

What every variant shares: networks, losses, penalties, Adam's settings and the ema are those of the
config. A tuned one keeps images and networks channels last, has fused optimizers, one backward pass
for each move, in which the other player is frozen, and fresh latents for each move, as gan_jax. One
that shares has the generator move on the fakes that the discriminator has just seen.
"""

import copy
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from experiments.bench.against_torch.sides import serve


class Variant(NamedTuple):
  """A way to play a step.

  Attributes:
    tuned: as above; otherwise as in PyTorch's example of DCGAN, which has a backward pass for real
      examples and one for fakes, and fetches losses at every step.
    shares: whether fakes of the discriminator's last move are the generator's too.
    compiles: whether networks are compiled, but where a penalty differentiates twice.
  """

  tuned: bool = True
  shares: bool = False
  compiles: bool = False


VARIANTS = {
  "tuned": Variant(),
  "shared": Variant(shares=True),
  "compiled": Variant(compiles=True),
  "example": Variant(tuned=False, shares=True),
}
LOSSES = {  # of real logits, of fake logits, of the generator
  "non_saturating": (lambda a: F.softplus(-a), F.softplus, lambda b: F.softplus(-b)),
  "hinge": (lambda a: F.relu(1 - a), lambda b: F.relu(1 + b), torch.neg),
  "wasserstein": (torch.neg, lambda b: b, torch.neg),
}
ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(0.2)}

# --- networks -----------------------------------------------------------------------------------


class Apply(nn.Module):
  """Applies a function without parameters."""

  def __init__(self, function: Callable) -> None:
    super().__init__()
    self.function = function

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return self.function(x)


class Residual(nn.Module):
  """Adds what two branches compute."""

  def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
    super().__init__()
    self.branch, self.shortcut = branch, shortcut

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    return self.branch(x) + self.shortcut(x)


def maps(inputs: int, channels: int, side: int, tuned: bool, bias: bool = False) -> list[nn.Module]:
  """Builds the layers from latents to a first map, channels last where tuned."""
  last = lambda x: x.view(-1, side, side, channels).permute(0, 3, 1, 2)
  arrange = Apply(last) if tuned else nn.Unflatten(1, (channels, side, side))
  return [nn.Linear(inputs, channels * side**2, bias=bias), arrange]


def active(channels: int) -> list[nn.Module]:
  return [nn.BatchNorm2d(channels), nn.ReLU()]


def dcgan_generator(z: int, shape: tuple, tuned: bool, width: int, **_: Any) -> nn.Module:
  up = lambda i, o, bias: nn.ConvTranspose2d(i, o, 4, 2, 1, bias=bias)
  first, last = maps(z, 2 * width, 7, tuned), up(width, 1, True)
  hidden = [*active(2 * width), up(2 * width, width, False), *active(width)]
  return nn.Sequential(*first, *hidden, last, nn.Tanh())


def full_width_generator(z: int, shape: tuple, tuned: bool, **_: Any) -> nn.Module:
  up = lambda o: [*active(128), nn.ConvTranspose2d(128, o, 4, 2, 1, bias=False)]
  last = [*active(64), nn.Conv2d(64, 1, 3, 1, 1), nn.Tanh()]
  return nn.Sequential(*maps(z, 128, 7, tuned), *up(128), *up(64), *last)


def dcgan_discriminator(shape: tuple, width: int, norm: str, **_: Any) -> nn.Module:
  down = nn.Conv2d(width, 2 * width, 4, 2, 1, bias=norm == "none")
  hidden = [down, nn.GroupNorm(1, 2 * width)] if norm == "layer" else [down]
  leaky, logit = nn.LeakyReLU(0.2), nn.Linear(49 * 2 * width, 1)
  first = nn.Conv2d(1, width, 4, 2, 1)
  return nn.Sequential(first, leaky, *hidden, leaky, nn.Flatten(), logit)


def sngan_generator(z: int, shape: tuple, tuned: bool, width: int, **_: Any) -> nn.Module:
  conv = lambda: nn.Conv2d(width, width, 3, 1, 1)
  double = lambda: nn.Upsample(scale_factor=2)
  block = lambda: Residual(
    nn.Sequential(*active(width), double(), conv(), *active(width), conv()),
    nn.Sequential(nn.Conv2d(width, width, 1), double()),
  )
  last = [*active(width), nn.Conv2d(width, shape[0], 3, 1, 1), nn.Tanh()]
  return nn.Sequential(*maps(z, width, 4, tuned, True), block(), block(), block(), *last)


def sngan_discriminator(shape: tuple, width: int, **_: Any) -> nn.Module:
  conv = lambda i, window: spectral_norm(nn.Conv2d(i, width, window, 1, window // 2))

  def block(inputs: int, halves: bool, first: bool) -> nn.Module:
    half = [nn.AvgPool2d(2)] * halves
    start = [] if first else [nn.ReLU()]
    shortcut = [*half, conv(inputs, 1)] if halves else []
    branch = [*start, conv(inputs, 3), nn.ReLU(), conv(width, 3), *half]
    return Residual(nn.Sequential(*branch), nn.Sequential(*shortcut))

  blocks = [block(shape[0], True, True), block(width, True, False)]
  blocks += [block(width, False, False) for _ in range(2)]
  pool = Apply(lambda x: F.relu(x).float().sum((2, 3)))
  return nn.Sequential(*blocks, pool, spectral_norm(nn.Linear(width, 1)))


def dense(sizes: list[int], activation: str) -> list[nn.Module]:
  """Builds linear layers with an activation after each but the last."""
  pairs = itertools.pairwise(sizes)
  return [x for i, o in pairs for x in (nn.Linear(i, o), ACTIVATIONS[activation]())][:-1]


def mlp_generator(
  z: int, shape: tuple, tuned: bool, hidden: list[int], activation: str, output: str, **_: Any
) -> nn.Module:
  last = [nn.Tanh()] if output == "tanh" else []
  return nn.Sequential(*dense([z, *hidden, math.prod(shape)], activation), *last)


def mlp_discriminator(shape: tuple, hidden: list[int], activation: str, **_: Any) -> nn.Module:
  return nn.Sequential(*dense([math.prod(shape), *hidden, 1], activation))


# --- the game -----------------------------------------------------------------------------------


def loader(config: dict[str, Any], tuned: bool, device: str) -> Callable[[], torch.Tensor]:
  """Builds the function that draws a batch of data, which lie on the device."""
  batch = config["batch_size"]
  if config["data"] == "ring8":
    angles = torch.arange(8, device=device) * math.pi / 4
    centers = torch.stack([angles.cos(), angles.sin()], 1)
    noise = lambda: 0.01 * torch.randn(batch, 2, device=device)
    return lambda: centers[torch.randint(8, (batch,), device=device)] + noise()
  file = f"gan_jax/data/sources/bundled/{config['data']}.npz"
  x = torch.from_numpy(np.load(file)["x_train"])[:, None].float() / 127.5 - 1
  options = config["data_options"]
  if side := options["image_size"]:
    x = F.interpolate(x, (side, side)).expand(-1, options["channels"], -1, -1)
  flat = config["generator"]["name"] == "mlp_generator"
  x = (x.flatten(1) if flat else x).contiguous()
  layout = torch.channels_last if tuned and not flat else torch.contiguous_format
  x = x.to(device, memory_format=layout)
  draw = lambda: torch.randint(len(x), (batch,), device=device)
  return lambda: x[draw()].contiguous(memory_format=layout)


def player(
  config: dict[str, Any], variant: Variant, device: str
) -> tuple[Callable[[], object], dict[str, int]]:
  """Builds a step of the game of a config, and counts the parameters of each network."""
  tuned, shares, compiles = variant
  batches, latent = loader(config, tuned, device), config["latent"]["dim"]
  shape = tuple(batches().shape[1:])
  generator, discriminator = config["generator"], config["discriminator"]
  g = globals()[generator.pop("name")](latent, shape, tuned, **generator).to(device)
  d = globals()[discriminator.pop("name")](shape, **discriminator).to(device)
  if tuned:
    g, d = (net.to(memory_format=torch.channels_last) for net in (g, d))
  sizes = {
    name: sum(p.numel() for p in net.parameters())
    for name, net in (("generator", g), ("discriminator", d))
  }
  optimizers = []
  for net, name in ((d, "discriminator"), (g, "generator")):
    adam = config["optimizers"][name]
    betas, fused = (adam["b1"], adam["b2"]), {"fused": True} if tuned else {}
    optimizers.append(torch.optim.Adam(net.parameters(), adam["learning_rate"], betas, **fused))
  to_d, to_g = optimizers
  ema = copy.deepcopy(g).requires_grad_(False)
  kept = lambda net: [x for x in (*net.parameters(), *net.buffers()) if x.is_floating_point()]
  pairs, decay = (kept(ema), kept(g)), config["average"]["decay"]
  averages = config["average"]["name"] == "decay"
  of_real, of_fake, of_generator = LOSSES[config["loss"]]
  r1, gp = (config["regularizers"][name] for name in ("r1", "gradient_penalty"))
  half = generator["dtype"] == "bfloat16"
  autocast = lambda: torch.autocast(device, torch.bfloat16, enabled=half)
  fast_g, fast_d = (torch.compile(net) if compiles else net for net in (g, d))
  logits = lambda x, net=fast_d: net(x)[:, 0].float()
  generate = lambda: fast_g(torch.randn(config["batch_size"], latent, device=device)).float()

  def gradients(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """Computes squared norms [B] of the gradients of logits at examples."""
    (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    return slope.float().square().flatten(1).sum(1)

  def losses(real: torch.Tensor, fake: torch.Tensor) -> Iterator[torch.Tensor]:
    """Computes the discriminator's losses, of which each has a backward pass."""
    with autocast():
      if r1:
        a, b = logits(real.requires_grad_(), d), logits(fake)
      elif tuned:
        a, b = logits(torch.cat([real, fake])).chunk(2)
      else:
        a, b = logits(real), logits(fake)
      first, second = of_real(a).mean(), of_fake(b).mean()
      if r1:
        first = first + r1 / 2 * gradients(real, a).mean()
      if gp:
        share = torch.rand(len(real), *[1] * (real.dim() - 1), device=device)
        between = torch.lerp(real, fake, share).requires_grad_()
        norm = (gradients(between, logits(between, d)) + 1e-12).sqrt()
        first = first + gp * (norm - 1).square().mean()
    yield from (first + second,) if tuned else (first, second)

  def step() -> object:
    for left in reversed(range(config["k"])):
      shared = shares and not left
      with torch.set_grad_enabled(shared), autocast():
        fake = generate()
      to_d.zero_grad(set_to_none=True)
      total = [
        loss.detach() for loss in losses(batches(), fake.detach()) if loss.backward() is None
      ]
      to_d.step()
    to_g.zero_grad(set_to_none=True)
    d.requires_grad_(not tuned)
    with autocast():
      loss = of_generator(logits(fake if shares else generate())).mean()
    loss.backward()
    d.requires_grad_(True)
    to_g.step()
    if averages:
      with torch.no_grad():
        torch._foreach_lerp_(*pairs, 1 - decay)
    total.append(loss.detach())
    return total if tuned else [x.item() for x in total]

  return step, sizes


def main(config: dict[str, Any], variant: str, device: str) -> None:
  torch.manual_seed(0)
  cores = len(os.sched_getaffinity(0))
  torch.set_num_threads(cores)
  gpu = device == "cuda"
  if gpu and VARIANTS[variant].tuned:  # what XLA does by itself
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
  step, sizes = player(config, VARIANTS[variant], device)

  def play(steps: int) -> None:
    for _ in range(steps):
      last = step()
    if gpu:
      torch.cuda.synchronize()
    assert all(math.isfinite(x) for x in last), last

  peak = lambda: [torch.cuda.max_memory_allocated()] if gpu else []
  text = f"torch {torch.__version__}, {torch.cuda.get_device_name() if gpu else device}"
  serve(play, peak, steps=1, parameters=sizes, machine=f"{text}, {cores} threads")


if __name__ == "__main__":
  main(**json.loads(sys.argv[1]))
