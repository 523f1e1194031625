"""Minibatches of several sources at once: each in an order of its own, or all in one, as pairs."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from gan_jax.data.batches import Batch, Batches
from gan_jax.data.permutation import Words, hash_words
from gan_jax.data.source import Raw, Seed, Source

_DOMAIN = 0x646F6D  # keeps the orders of the sources apart
_OF = "{domain}.{array}"  # name of an array of a domain, beside those of others


@dataclasses.dataclass(frozen=True, eq=False)
class Domains:
  """Batches of several sources, as `Batches` of one: {domain: float32 [B, ...]}.

  Where the first has labels, a batch holds them too, "y": int32 [B]; those of another domain d are
  "y_d".

  Attributes:
    parts: batches of each source, by domain, of one size; the first has the seed itself.
    seed: 0 <= seed < 2**32; together with t it determines batch t.
    paired: whether examples at one place belong together: they come, are cropped and are flipped
      together.
    process_index, process_count: this process makes only its equal share of each batch.

  Raises:
    ValueError: the parts do not fit each other.
  """

  parts: Mapping[str, Batches]
  seed: int
  _: dataclasses.KW_ONLY
  paired: bool = False
  process_index: int = 0
  process_count: int = 1

  def __post_init__(self) -> None:
    # Pairs may have other channels: gray and colour.
    compared = slice(-1) if self.paired else slice(None)
    if len({(part.batch_size, part.shape[compared]) for part in self.parts.values()}) != 1:
      shown = ", ".join(f"{name} {part.shape}" for name, part in self.parts.items())
      raise ValueError(
        f"examples of the domains are {shown}: expected one shape of all; choose"
        " --config.data_options.image_size and --config.data_options.channels"
      )
    counts = {name: part.source.size for name, part in self.parts.items()}
    if self.paired and len(set(counts.values())) != 1:
      shown = ", ".join(f"{name} {count}" for name, count in counts.items())
      raise ValueError(f"the domains have {shown} examples, and these are pairs: expected as many")
    # On the device all are, or none: they come by one way.
    resident = all(part.resident for part in self.parts.values())
    parts = {
      name: dataclasses.replace(
        part,
        seed=int(self._seed(i, self.seed)),
        resident=resident,
        process_index=self.process_index,
        process_count=self.process_count,
      )
      for i, (name, part) in enumerate(self.parts.items())
    }
    object.__setattr__(self, "parts", parts)

  @property
  def batch_size(self) -> int:
    """Size B of the global batch, of each source."""
    return next(iter(self.parts.values())).batch_size

  @property
  def resident(self) -> bool:
    """Whether all tables are kept on the device."""
    return all(part.resident for part in self.parts.values())

  @property
  def endless(self) -> bool:
    """Whether examples are computed by their position, and are no rows of a table."""
    return all(part.endless for part in self.parts.values())

  @property
  def source(self) -> Source:
    """The source of the last domain, into which the first is translated."""
    return list(self.parts.values())[-1].source

  @property
  def arrays(self) -> Raw:
    """What to put on the device for `at`; {} when streamed."""
    return _joined({name: part.arrays for name, part in self.parts.items()})

  def spec(self, *sizes: int) -> dict[str, jax.ShapeDtypeStruct]:
    """Describes finished global batches with these leading sizes, by shape and dtype."""
    return self._together([part.spec(*sizes) for part in self.parts.values()])

  def at(
    self,
    arrays: Mapping[str, Any],
    t: Words,
    rows: Words | None = None,
    take: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    seed: Seed | None = None,
  ) -> Batch:
    """Computes batch t from arrays on the device; arguments as of `Batches.at`."""
    return self._together(
      [
        part.at(_part(arrays, name), t, rows, take, None if seed is None else self._seed(i, seed))
        for i, (name, part) in enumerate(self.parts.items())
      ]
    )

  def finish(
    self, raw: Mapping[str, Any], t: Words, rows: Words | None = None, seed: Seed | None = None
  ) -> Batch:
    """Computes batch t from the raw batch of `stream`; arguments as of `Batches.finish`."""
    return self._together(
      [
        part.finish(_part(raw, name), t, rows, None if seed is None else self._seed(i, seed))
        for i, (name, part) in enumerate(self.parts.items())
      ]
    )

  def _seed(self, index: int, seed: Seed) -> Any:
    """Computes the seed of a domain: the first's is that of the run, as if it were alone."""
    return seed if index == 0 or self.paired else hash_words(seed, _DOMAIN, index)[0]

  def _together(self, batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Joins a batch of each source to one of all, with the labels of those that have any."""
    together: dict[str, Any] = {}
    for i, ((name, part), batch) in enumerate(zip(self.parts.items(), batches, strict=True)):
      together[name] = batch["x"]
      if part.labels:
        together["y" if i == 0 else f"y_{name}"] = batch["y"]
    return together

  def stream(self, start: int = 0) -> Iterator[Raw]:
    """Iterates over raw host batches start, start + 1, ..., as `Batches.stream`."""
    streams = [part.stream(start) for part in self.parts.values()]
    try:
      for raw in zip(*streams, strict=True):
        yield _joined(dict(zip(self.parts, raw, strict=True)))
    finally:
      for stream in streams:
        stream.close()  # type: ignore[attr-defined]


def _joined(arrays: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
  return {
    _OF.format(domain=domain, array=name): value
    for domain, of in arrays.items()
    for name, value in of.items()
  }


def _part(arrays: Mapping[str, Any], domain: str) -> dict[str, Any]:
  prefix = _OF.format(domain=domain, array="")
  return {
    name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)
  }


AnyBatches = Batches | Domains
