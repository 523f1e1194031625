"""Pipes of ADA: which transforms there are, how probable each is, and how far it goes.

Karras et al. 2020, arXiv:2006.06676, appendix B; names and numbers are those of the published code.
"""

from typing import Any, NamedTuple

from gan_jax.checks import is_number, shown


class Pipe(NamedTuple):
  """A pipe: multipliers of the probability p of each transform, 0 for none, and their strengths.

  Attributes:
    xflip, rotate90, xint: of pixels that stay pixels: flips, turns by 90 degrees, whole shifts.
    scale, rotate, aniso, xfrac: of other geometry: sizes, angles, aspect ratios, shifts.
    brightness, contrast, lumaflip, hue, saturation: of colours.
    imgfilter: of amplified bands of frequencies.
    noise, cutout: of corruptions.
    xint_max, xfrac_std: largest whole shift, and deviation of others, as a share of a side.
    scale_std, aniso_std, contrast_std, saturation_std, imgfilter_std: of the logarithm to base 2.
    rotate_max, hue_max: largest angle, as a share of half a turn.
    brightness_std, noise_std: standard deviations, in units of the images; of noise, of its own.
    imgfilter_bands: multipliers of the four bands, from low to high frequencies.
    cutout_size: side of what is cut out, as a share of the image's.
  """

  xflip: float = 0.0
  rotate90: float = 0.0
  xint: float = 0.0
  scale: float = 0.0
  rotate: float = 0.0
  aniso: float = 0.0
  xfrac: float = 0.0
  brightness: float = 0.0
  contrast: float = 0.0
  lumaflip: float = 0.0
  hue: float = 0.0
  saturation: float = 0.0
  imgfilter: float = 0.0
  noise: float = 0.0
  cutout: float = 0.0
  xint_max: float = 0.125
  scale_std: float = 0.2
  rotate_max: float = 1.0
  aniso_std: float = 0.2
  xfrac_std: float = 0.125
  brightness_std: float = 0.2
  contrast_std: float = 0.5
  hue_max: float = 1.0
  saturation_std: float = 1.0
  imgfilter_bands: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
  imgfilter_std: float = 1.0
  noise_std: float = 0.1
  cutout_size: float = 0.5


_BLIT = Pipe(xflip=1, rotate90=1, xint=1)
_GEOM = Pipe(scale=1, rotate=1, aniso=1, xfrac=1)
_COLOR = Pipe(brightness=1, contrast=1, lumaflip=1, hue=1, saturation=1)
_BG = _BLIT._replace(scale=1, rotate=1, aniso=1, xfrac=1)
_BGC = _BG._replace(brightness=1, contrast=1, lumaflip=1, hue=1, saturation=1)
_COLORED = _BG._replace(brightness=0.5, contrast=0.5, lumaflip=0.5, hue=0.5, saturation=0.5)
PIPES = {
  "blit": _BLIT,
  "geom": _GEOM,
  "color": _COLOR,
  "filter": Pipe(imgfilter=1),
  "noise": Pipe(noise=1),
  "cutout": Pipe(cutout=1),
  "bg": _BG,
  "bgc": _BGC,
  "bgcf": _BGC._replace(imgfilter=1),
  "bgcfn": _BGC._replace(imgfilter=1, noise=1),
  "bgcfnc": _BGC._replace(imgfilter=1, noise=1, cutout=1),
  # Huang et al. 2025, arXiv:2501.05441.
  "r3gan": _COLORED._replace(cutout=1),
}
_NUMBERS = tuple(name for name in Pipe._fields if name != "imgfilter_bands")


def parse_pipe(text: str) -> Pipe:
  """Builds the pipe of a text: the name of one of `PIPES`, then changes, or changes alone.

  Args:
    text: such as "bgc", "bgc, rotate=0, scale_std=0.1" or "xflip, xint=0.5"; a transform without a
      number has the multiplier 1.

  Raises:
    ValueError: for another name, and for the strength of a transform that the pipe has not.
  """
  first, *changes = (part.strip() for part in text.split(","))
  if first not in PIPES:
    first, changes = "", [first, *changes]
  pairs = [change.partition("=") for change in changes]
  try:
    numbers = {name.strip(): float(value) if equals else 1.0 for name, equals, value in pairs}
    if unknown := set(numbers) - set(_NUMBERS):
      raise ValueError(f"no such transform, {', '.join(sorted(unknown))}")
  except ValueError as error:
    raise ValueError(
      f"pipe is {text!r} ({error}): expected one of {', '.join(PIPES)}, then changes such as "
      "rotate=0 or scale_std=0.1, of the fields of Pipe"
    ) from error
  fields: dict[str, Any] = dict(numbers)
  pipe = check_pipe((PIPES[first] if first else Pipe())._replace(**fields))
  # A strength begins with the name of its transform.
  of = {name: name.rpartition("_")[0] for name in numbers}
  if idle := [name for name, transform in of.items() if transform and not getattr(pipe, transform)]:
    raise ValueError(
      f"pipe is {text!r}: {', '.join(idle)} would change nothing, of transforms that the pipe has "
      f"not; add these, such as {of[idle[0]]}=1, or leave it out"
    )
  return pipe


def check_pipe(pipe: Pipe) -> Pipe:
  """Checks that multipliers and strengths are numbers >= 0, and returns the pipe.

  Raises:
    ValueError: for others, and for a pipe without a transform.
  """
  if not isinstance(pipe, Pipe):
    raise ValueError(f"pipe is {shown(pipe)}: expected a text such as 'bgc', or a Pipe")
  for name, value in pipe._asdict().items():
    several = value if name == "imgfilter_bands" else (value,)
    if not all(is_number(number, lambda x: x >= 0) for number in several):
      raise ValueError(f"{name} of the pipe is {shown(value)}: expected a number >= 0")
  if len(pipe.imgfilter_bands) != 4:
    raise ValueError(f"imgfilter_bands are {shown(pipe.imgfilter_bands)}: expected four numbers")
  if not any(pipe[: Pipe._fields.index("xint_max")]):
    raise ValueError(
      "the pipe has no transform: expected one with a multiplier above 0, such as xflip=1"
    )
  return pipe
