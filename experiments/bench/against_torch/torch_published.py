"""Networks of R3GAN, StyleGAN2 and BigGAN for torch, and the terms of their generators.

Written from the formulas of Huang et al. 2025 (arXiv:2501.05441), Karras et al. 2020 (1912.04958)
and Brock et al. 2019 (1809.11096), of the forms that take least time on a CPU: a modulated
convolution scales inputs and outputs (a kernel for each example takes 1.2 to 4 times as long), and
filters are depthwise convolutions in float32 (in bfloat16 they take 4 to 20 times as long).
"""

import functools
import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

Options = dict[str, Any]  # of a network, as the config has them
Shape = tuple[int, int, int]  # of an image: channels, height, width
CLASSES = 10
RESIDUAL = math.sqrt(0.5)  # gain of both branches of a block of StyleGAN2
CLAMP = 256.0


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


def float32() -> torch.autocast:
  """Returns the context in which nothing is cast to bfloat16."""
  return torch.autocast(torch.get_default_device().type, enabled=False)


@functools.cache
def taps(channels: int, gain: float) -> torch.Tensor:
  """Returns kernels [C, 1, 4, 4] of the filter (1, 3, 3, 1) of both axes, of sum `gain`."""
  row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
  return (gain * torch.outer(row, row)).expand(channels, 1, 4, 4).contiguous()


def filtered(x: torch.Tensor, padding: int, stride: int = 1, gain: float = 1.0) -> torch.Tensor:
  """Filters each channel by itself."""
  channels = x.shape[1]
  with float32():
    y = F.conv2d(x.float(), taps(channels, gain), None, stride, padding, groups=channels)
  return y.to(x.dtype)


def halve(x: torch.Tensor) -> torch.Tensor:
  """Filters, and keeps every second pixel."""
  return filtered(x, 1, 2)


def double(x: torch.Tensor) -> torch.Tensor:
  """Puts zeros between pixels, and filters."""
  channels = x.shape[1]
  with float32():
    y = F.conv_transpose2d(x.float(), taps(channels, 4.0), None, 2, 1, groups=channels)
  return y.to(x.dtype)


class R3GANGenerator(nn.Module):
  """Scales a basis by latents, then alternates blocks and doublings; 4 x 4 maps are in float32."""

  def __init__(self, options: Options, shape: Shape, z: int) -> None:
    super().__init__()
    widths = options["widths"]
    self.basis = nn.Parameter(torch.randn(widths[0], 4, 4))
    self.latent = nn.Linear(z, widths[0], bias=False)
    self.low, *stages = r3gan_stages(options)
    layers = []
    for i, stage in enumerate(stages, 1):
      layers += [nn.Conv2d(widths[i - 1], widths[i], 1, bias=False), Apply(double), stage]
    self.high = nn.Sequential(*layers, nn.Conv2d(widths[-1], shape[0], 1, bias=False))

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    with float32():
      x = self.low(self.latent(z)[:, :, None, None] * self.basis)
    return self.high(x)


class R3GANDiscriminator(nn.Module):
  """Alternates blocks and halvings down to 4 x 4 maps, in float32, and weighs their places."""

  def __init__(self, options: Options, shape: Shape, z: int) -> None:
    super().__init__()
    widths = options["widths"]
    *stages, self.low = r3gan_stages(options)
    layers = [nn.Conv2d(shape[0], widths[0], 1, bias=False)]
    for i, stage in enumerate(stages):
      layers += [stage, Apply(halve), nn.Conv2d(widths[i], widths[i + 1], 1, bias=False)]
    self.high = nn.Sequential(*layers)
    self.basis = nn.Parameter(torch.randn(widths[-1], 4, 4) / 4)
    self.logit = nn.Linear(widths[-1], 1, bias=False)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    x = self.high(x)
    with float32():
      return self.logit((self.low(x.float()) * self.basis).sum((2, 3)))


def r3gan_stages(options: Options) -> list[nn.Module]:
  """Builds the residual blocks of each stage, in groups of 16 channels."""
  stages = []
  for width, count in zip(options["widths"], options["blocks"], strict=True):
    blocks, inner = [], options["expansion"] * width
    for _ in range(count):
      middle = nn.Conv2d(inner, inner, 3, 1, 1, groups=max(1, inner // 16))
      last = nn.Conv2d(inner, width, 1, bias=False)
      nn.init.zeros_(last.weight)
      leaky = nn.LeakyReLU(0.2)
      branch = nn.Sequential(nn.Conv2d(width, inner, 1), leaky, middle, leaky, last)
      blocks.append(Sum(nn.Identity(), branch))
    stages.append(nn.Sequential(*blocks))
  return stages


def scaled_leaky(x: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
  return (F.leaky_relu(x, 0.2) * (math.sqrt(2) * gain)).clamp(-CLAMP * gain, CLAMP * gain)


class EqualDense(nn.Module):
  """A linear layer in float32, whose parameters are scaled at use."""

  def __init__(self, i: int, o: int, rate: float = 1.0, bias: float = 0.0) -> None:
    super().__init__()
    self.weight = nn.Parameter(torch.randn(o, i) / rate)
    self.bias = nn.Parameter(torch.full((o,), bias))
    self.scale, self.rate = rate / math.sqrt(i), rate

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    with float32():
      return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
  """A convolution whose kernel is scaled at use; activated where it has a bias."""

  def __init__(
    self, i: int, o: int, size: int = 3, down: bool = False, bias: bool = True, gain: float = 1.0
  ) -> None:
    super().__init__()
    self.weight = nn.Parameter(torch.randn(o, i, size, size))
    self.bias = nn.Parameter(torch.zeros(o)) if bias else None
    self.scale, self.size, self.down, self.gain = 1 / math.sqrt(i * size**2), size, down, gain

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    stride, padding = 1, self.size // 2
    if self.down and self.size == 1:
      x = halve(x)
    elif self.down:
      x, stride, padding = filtered(x, 2), 2, 0
    y = F.conv2d(x, self.weight * self.scale, self.bias, stride, padding)
    return y * self.gain if self.bias is None else scaled_leaky(y, self.gain)


class Modulated(nn.Module):
  """A modulated convolution with noise and activation; of one pixel it has neither, and no norm."""

  def __init__(self, i: int, o: int, w: int, size: int = 3, up: bool = False) -> None:
    super().__init__()
    self.style = EqualDense(w, i, bias=1.0)
    self.weight = nn.Parameter(torch.randn(o, i, size, size))
    self.bias = nn.Parameter(torch.zeros(o, 1, 1))
    self.strength = nn.Parameter(torch.zeros(())) if size > 1 else None
    self.up, self.padding = up, size // 2

  def forward(self, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    style = self.style(w)
    if self.strength is None:
      style = style / math.sqrt(style.shape[1])
    x = x * style[:, :, None, None].to(x.dtype)
    if self.up:
      y = filtered(F.conv_transpose2d(x, self.weight.transpose(0, 1), None, 2), 1, gain=4.0)
    else:
      y = F.conv2d(x, self.weight, None, 1, self.padding)
    if self.strength is None:
      return (y + self.bias).clamp(-CLAMP, CLAMP)
    with float32():
      squares = style.square() @ self.weight.square().sum((2, 3)).T
    y = y * squares.add(1e-8).rsqrt()[:, :, None, None].to(y.dtype)
    noise = self.strength * torch.randn(len(y), 1, *y.shape[2:]) + self.bias
    return scaled_leaky(y + noise.to(y.dtype))


class StyleGAN2Generator(nn.Module):
  """Mapping and skip synthesis; the smallest maps, and images, are in float32."""

  def __init__(self, options: Options, shape: Shape, z: int) -> None:
    super().__init__()
    widths, heights = stylegan2_sizes(options, shape)
    w, self.rows, self.mixing = options["w_dim"], 2 * len(heights), options["mixing"]
    self.layers = nn.ModuleList(EqualDense(i, w, options["lr_multiplier"]) for i in (z, w))
    self.register_buffer("w_average", torch.zeros(w))
    self.share = 1 - options["w_avg_beta"]
    self.constant = nn.Parameter(torch.randn(widths[0], heights[0], heights[0]))
    self.first = Modulated(widths[0], widths[0], w)
    self.doubling = nn.ModuleList(
      Modulated(i, o, w, up=True) for i, o in itertools.pairwise(widths)
    )
    self.same = nn.ModuleList(Modulated(o, o, w) for o in widths[1:])
    self.images = nn.ModuleList(Modulated(o, shape[0], w, size=1) for o in widths)

  def styles(self, z: torch.Tensor) -> torch.Tensor:
    w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for layer in self.layers:
      w = F.leaky_relu(layer(w), 0.2) * math.sqrt(2)
    return w[:, None].expand(-1, self.rows, -1)

  def mapping(self, z: torch.Tensor) -> torch.Tensor:
    """Maps latents to styles [B, rows, d], the later rows mostly of other latents."""
    w = self.styles(z)
    self.w_average.lerp_(w[:, 0].detach().mean(0), self.share)
    if random.random() >= self.mixing:
      return w
    row = random.randrange(1, self.rows)
    return torch.cat([w[:, :row], self.styles(torch.randn_like(z))[:, row:]], 1)

  def synthesis(self, w: torch.Tensor) -> torch.Tensor:
    with float32():
      x = self.first(self.constant.expand(len(w), -1, -1, -1), w[:, 0])
      image = self.images[0](x, w[:, 1])
    layers = zip(self.doubling, self.same, self.images[1:], strict=True)
    for i, (up, same, to_image) in enumerate(layers):
      row = 2 * i + 1  # an image has the row of the doubling that follows
      x = same(up(x, w[:, row]), w[:, row + 1])
      image = double(image) + to_image(x, w[:, row + 2])
    return image

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    return self.synthesis(self.mapping(z))


class StyleGAN2Discriminator(nn.Module):
  """Residual blocks, the deviation within groups of 4 examples, and a head in float32."""

  def __init__(self, options: Options, shape: Shape, z: int) -> None:
    super().__init__()
    widths, heights = stylegan2_sizes(options, shape)
    layers = [EqualConv(shape[0], widths[-1], 1)]
    for i, o in zip(widths[:0:-1], widths[-2::-1], strict=True):
      branch = nn.Sequential(EqualConv(i, i), EqualConv(i, o, down=True, gain=RESIDUAL))
      layers.append(Sum(branch, EqualConv(i, o, 1, down=True, bias=False, gain=RESIDUAL)))
    self.blocks = nn.Sequential(*layers)
    self.conv = EqualConv(widths[0] + 1, widths[0])
    self.hidden = EqualDense(widths[0] * heights[0] ** 2, widths[0])
    self.logit = EqualDense(widths[0], 1)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    x = self.blocks(x).float()
    groups = x.reshape(4, len(x) // 4, -1)
    variance = (groups - groups.mean(0)).square().mean(0)  # `var` takes far longer on this axis
    std = (variance + 1e-8).sqrt().mean(1).repeat(4)
    with float32():
      x = self.conv(torch.cat([x, std[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1))
    return self.logit(F.leaky_relu(self.hidden(x.flatten(1)), 0.2) * math.sqrt(2))


def stylegan2_sizes(options: Options, shape: Shape) -> tuple[list[int], list[int]]:
  """Computes channels and heights of maps, smallest first."""
  heights = [shape[1]]
  while heights[0] % 2 == 0 and heights[0] >= 8:
    heights.insert(0, heights[0] // 2)
  return [min(options["channel_base"] // h, options["channel_max"]) for h in heights], heights


class ConditionalNorm(nn.Module):
  """Batch norm, with a scale and a shift that are linear in a condition."""

  def __init__(self, channels: int, condition: int) -> None:
    super().__init__()
    self.norm = nn.BatchNorm2d(channels, affine=False)
    linear = lambda: spectral_norm(nn.Linear(condition, channels, bias=False))
    self.gain, self.bias = linear(), linear()

  def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    gain, bias = self.gain(y)[:, :, None, None], self.bias(y)[:, :, None, None]
    return torch.addcmul(bias, self.norm(x), 1 + gain)


class ConditionalBlock(nn.Module):
  """A residual block that doubles both sides."""

  def __init__(self, channels: int, condition: int) -> None:
    super().__init__()
    self.norms = nn.ModuleList(ConditionalNorm(channels, condition) for _ in range(2))
    self.convs = nn.ModuleList(spectral_conv(channels, channels, 3) for _ in range(2))
    self.shortcut = spectral_conv(channels, channels, 1)

  def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    repeat = functools.partial(F.interpolate, scale_factor=2)
    h = self.convs[0](repeat(F.relu(self.norms[0](x, y))))
    return self.convs[1](F.relu(self.norms[1](h, y))) + repeat(self.shortcut(x))


class Attention(nn.Module):
  """Adds what all places find at the maxima of 2 x 2 squares."""

  def __init__(self, channels: int) -> None:
    super().__init__()
    conv = functools.partial(spectral_conv, size=1, bias=False)
    self.query, self.key = conv(channels, channels // 8), conv(channels, channels // 8)
    self.value, self.out = conv(channels, channels // 2), conv(channels // 2, channels)
    self.gamma = nn.Parameter(torch.zeros(()))

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    key, value = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.key, self.value))
    weights = (self.query(x).flatten(2).mT @ key).softmax(2)
    return x + self.gamma * self.out((value @ weights.mT).unflatten(2, x.shape[2:]))


class BigGANGenerator(nn.Module):
  """Doubles a map of 4 x 4 to 32 pixels, by blocks that see a class and a chunk of the latents."""

  def __init__(self, options: Options, shape: Shape, z: int) -> None:
    super().__init__()
    self.channels, self.chunk = 4 * options["width"], z // 4
    self.shared = nn.Embedding(CLASSES, options["shared"])
    self.first = spectral_norm(nn.Linear(self.chunk, 16 * self.channels))
    condition = options["shared"] + self.chunk
    self.blocks = nn.ModuleList(ConditionalBlock(self.channels, condition) for _ in range(3))
    attends = [height in options["attention"] for height in (8, 16, 32)]
    self.after = nn.ModuleList(Attention(self.channels) if x else nn.Identity() for x in attends)
    last = spectral_conv(self.channels, shape[0], 3)
    self.image = nn.Sequential(nn.BatchNorm2d(self.channels), nn.ReLU(), last, nn.Tanh())

  def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    first, *chunks = z.split(self.chunk, 1)
    x = self.first(first).view(-1, 4, 4, self.channels).permute(0, 3, 1, 2)
    shared = self.shared(y)
    for block, after, chunk in zip(self.blocks, self.after, chunks, strict=True):
      x = after(block(x, torch.cat([shared, chunk], 1)))
    return self.image(x)


class BigGANDiscriminator(nn.Module):
  """Halves 32 pixels to maps of 8 x 8, and projects their sums on classes."""

  def __init__(self, options: Options, shape: Shape, z: int) -> None:
    super().__init__()
    channels, half, layers = 4 * options["width"], nn.AvgPool2d(2), []
    for i, o, shrinks in (
      (shape[0], channels, True),
      *[(channels, channels, x) for x in (1, 0, 0)],
    ):
      branch = [nn.ReLU(), spectral_conv(i, o, 3), nn.ReLU(), spectral_conv(o, o, 3)]
      branch, shortcut = branch[not layers :], nn.Identity()
      if shrinks:
        branch, shortcut = [*branch, half], nn.Sequential(half, spectral_conv(i, o, 1))
      layers.append(Sum(nn.Sequential(*branch), shortcut))
    self.blocks = nn.Sequential(*layers)
    self.logit = spectral_norm(nn.Linear(channels, 1))
    self.embedding = spectral_norm(nn.Embedding(CLASSES, channels))

  def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    sums = F.relu(self.blocks(x)).float().sum((2, 3))
    with float32():
      return self.logit(sums) + (self.embedding(y) * sums).sum(1, keepdim=True)


def spectral_conv(i: int, o: int, size: int, bias: bool = True) -> nn.Module:
  """Builds a convolution that keeps the sides, with spectral norm."""
  return spectral_norm(nn.Conv2d(i, o, size, 1, size // 2, bias=bias))


def orthogonal(g: nn.Module) -> torch.Tensor:
  """Computes half the squares of WWᵀ off the diagonal, for all weights but a shared embedding."""
  total = torch.zeros(())
  with float32():
    for name, weight in g.named_parameters():
      if weight.dim() > 1 and not name.startswith("shared"):
        rows = weight.flatten(1)
        gram = rows @ rows.T
        total = total + gram.square().sum() - gram.diagonal().square().sum()
  return total / 2


def path_length(
  g: nn.Module, z: int, batch: int, *, decay: float, batch_shrink: int, every: int
) -> Callable[[], torch.Tensor]:
  """Builds the penalty of the lengths of paths, which remembers their average."""
  average = torch.zeros(())

  def penalty() -> torch.Tensor:
    nonlocal average
    w = g.mapping(torch.randn(batch // batch_shrink, z))
    x = g.synthesis(w)
    noise = torch.randn_like(x) / math.sqrt(x[0, 0].numel())
    (slope,) = torch.autograd.grad((x * noise).sum(), w, create_graph=True)
    lengths = slope.square().sum(2).mean(1).sqrt()
    target = torch.lerp(lengths.mean(), average, decay)
    average = target.detach()
    return (lengths - target).square().mean()

  return penalty


PUBLISHED = {
  "r3gan_generator": R3GANGenerator,
  "r3gan_discriminator": R3GANDiscriminator,
  "stylegan2_generator": StyleGAN2Generator,
  "stylegan2_discriminator": StyleGAN2Discriminator,
  "biggan_generator": BigGANGenerator,
  "biggan_discriminator": BigGANDiscriminator,
}
