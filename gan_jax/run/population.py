"""Populations: many runs of one game in one program, which differ in seeds and in numbers.

A game is data, so a population is a game whose numbers are arrays: `make` builds it from the
numbers of one member while the program is traced, and `vmap` does the rest. Each member has the
state of its single run, so all that works on a `State` works on `member(states, i)`.

    people = Population(lambda numbers: my_game(numbers["rate"]), seeds=np.arange(4),
                        numbers={"rate": np.array([1e-4, 2e-4, 5e-4, 1e-3])})
    states = start(people, batches)
    for round, states, metrics in play(people, batches, states, rounds=2000, every=100):
      print(round, metrics["V"][-1])                      # [4]
    x = samples(people, states, 1000)                     # [4, 1000, ...]
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.checks import is_integer, shown, takes
from gan_jax.data import AnyBatches
from gan_jax.data.labels import label_type
from gan_jax.game.core import Game, Metrics, PyTree, State, batches_a_round
from gan_jax.game.kinds.sides.monitors import MONITOR
from gan_jax.game.play import init, play_round, sample
from gan_jax.game.random import make_key
from gan_jax.game.validation import check_game
from gan_jax.losses.objectives import OBSERVED
from gan_jax.run.training.log.diagnostics import first_not_finite

AXIS = "members"
Numbers = Mapping[str, Any]


class Population(NamedTuple):
  """Several runs whose games have one structure.

  Attributes:
    make: the numbers of one member, by name -> its game. They are scalars that may be traced: they
      can be weights, learning rates and decays, not sizes, and no Python `if` can ask for them.
    seeds: [n], seeds of the members: of their networks, latents and order of data.
    numbers: {name: [n]}.
  """

  make: Callable[[Numbers], Game]
  seeds: np.ndarray
  numbers: Mapping[str, np.ndarray] = {}


Play = Callable[[State, int], tuple[State, Metrics]]


def start(people: Population, batches: AnyBatches) -> State:
  """Builds the states before the first round: leaves [n, ...], split over devices by member.

  Args:
    people: the population, of n members.
    batches: minibatches of their data.

  Returns:
    The states. Member i is `game.init` with its seed.

  Raises:
    ValueError: for no population, such as numbers that are not one for each member.
  """
  _check_batches(batches)
  spec = batches.spec(_batches_a_round(people))

  def one(seed: jax.Array, numbers: Numbers) -> State:
    return init(_game(people.make, numbers), make_key(seed), spec)

  return _each(people, jax.vmap(one))()


def player(people: Population, batches: AnyBatches, at_once: int | None = None) -> Play:
  """Compiles several rounds of all members into one dispatch.

  Members are split over as many devices as divide their number; none depends on the others.

  Args:
    people: the population, of n members.
    batches: their data, which each member sees in the order of its own seed; they must fit the
      device. The seed of `batches` itself is not used.
    at_once: members of a device in one `vmap`, the others after them; None for all. Convolutions
      are slow in a `vmap` on a CPU: there 1 is best.

  Returns:
    (states, number of rounds) -> (states, metrics [n, rounds]), which donates the states.

  Raises:
    ValueError: for data that have to be streamed, and for no population.
  """
  _check_batches(batches)
  if at_once is not None and (not is_integer(at_once) or at_once < 1):
    raise ValueError(
      f"at_once is {shown(at_once)}: expected how many members, an int >= 1, or None"
    )
  if not batches.resident:
    raise ValueError(
      f"{batches.source.name} is streamed, and members of a population read their data each in "
      "its own order: they must fit the device; set config.data_options.placement='device'"
    )
  n, rows = _batches_a_round(people), np.arange(batches.batch_size, dtype=np.uint32)

  def one(own: tuple[Any, Numbers, State], table: Any, rounds: int) -> tuple[State, Metrics]:
    seed, numbers, state = own
    game = _game(people.make, numbers)

    def once(state: State, _: None) -> tuple[State, Metrics]:
      t = state.round.astype(jnp.uint32) * n + jnp.arange(n, dtype=jnp.uint32)
      batch = jax.vmap(lambda t: batches.at(table, t, rows, seed=seed))(t)
      after, metrics = play_round(game, state, batch)
      # Monitors are for single runs; outputs that are dropped here cost nothing.
      before = {name: x for name, x in state.carried.items() if name.endswith(f".{OBSERVED}")}
      after = after.replace(carried={**after.carried, **before})
      return after, {k: x for k, x in metrics.items() if not k.startswith(MONITOR)}

    return jax.lax.scan(once, state, length=rounds)

  def several(rounds: int, seeds: Any, numbers: Numbers, states: State, table: Any) -> Any:
    member = lambda own: one(own, table, rounds)
    size = at_once or len(seeds)
    if size >= len(seeds):
      return jax.vmap(member)((seeds, numbers, states))
    return jax.lax.map(member, (seeds, numbers, states), batch_size=size if size > 1 else None)

  table = jax.device_put(batches.arrays, NamedSharding(_mesh(people), PartitionSpec()))
  program = functools.cache(
    lambda rounds: _each(people, functools.partial(several, rounds), given=(True, False))
  )

  def play(state: State, rounds: int) -> tuple[State, Metrics]:
    _check_states(people, state)
    return program(rounds)(state, table)

  return play


def play(
  people: Population,
  batches: AnyBatches,
  state: State,
  *,
  rounds: int,
  every: int = 100,
  at_once: int | None = None,
) -> Iterator[tuple[int, State, dict[str, np.ndarray]]]:
  """Plays rounds, and yields states and metrics after each dispatch.

  Each call compiles its rounds; for rounds in many calls, `player` compiles them once.

  Args:
    people: the population, of n members.
    batches: minibatches of their data, as for `player`.
    state: states of `start`, or of an earlier `play`; donated.
    rounds: number of rounds.
    every: rounds in one dispatch.
    at_once: members in one `vmap`, as for `player`.

  Yields:
    (rounds played in all, states, metrics of the rounds since the last time, [rounds, n] each). The
    states are donated when the next are asked for.

  Raises:
    ValueError: as `player`, and for states of other members.
  """
  for name, value, least in (("rounds", rounds, 0), ("every", every, 1)):
    if not is_integer(value) or value < least:
      raise ValueError(f"{name} is {shown(value)}: expected a number of rounds, an int >= {least}")
  played = player(people, batches, at_once)
  _check_states(people, state)

  def go_on(state: State) -> Iterator[tuple[int, State, dict[str, np.ndarray]]]:
    for first in range(0, rounds, every):
      state, metrics = played(state, min(every, rounds - first))
      fetched = {name: np.asarray(x).T for name, x in jax.device_get(metrics).items()}
      yield int(state.round[0]), state, fetched

  return go_on(state)


def samples(
  people: Population,
  state: State,
  n: int,
  *,
  seed: int = 0,
  labels: np.ndarray | None = None,
  ema: bool = True,
) -> np.ndarray:
  """Draws n examples from each member, all of the same latents.

  Args:
    people: the population.
    state: states of its members.
    n: number of examples.
    seed: seed of the latents.
    labels: classes, int [n], or vectors, float [n, d], of conditional games.
    ema: whether to use averaged parameters, where they are kept.

  Returns:
    [members, n, ...], in the data's own range.

  Raises:
    ValueError: for states of other members, and as `game.sample`.
  """
  numbers = _own(people)[1]
  _check_states(people, state)
  y = None if labels is None else jnp.asarray(labels, label_type(np.asarray(labels).dtype))
  return np.asarray(_drawer(people.make, n, ema)(numbers, state, make_key(seed), y))


@functools.lru_cache(maxsize=16)  # so that looking again compiles nothing
def _drawer(make: Callable[[Numbers], Game], n: int, ema: bool) -> Callable[..., jax.Array]:
  draw = lambda numbers, state, key, y: sample(_game(make, numbers), state, key, n, y, ema=ema)
  return jax.jit(jax.vmap(draw, in_axes=(0, 0, None, None)))


def member(state: State, i: int) -> State:
  """Returns the state of one member, on the host: that of its single run.

  The memory of monitors is as it was at the start, `monitors.UNMEASURED`: a population does not
  compare, and a run that goes on from here does so in its next round of `monitors.EVERY`.

  Raises:
    ValueError: for no states of a population, or without a member i.
  """
  _check_stacked(state)
  if not is_integer(i) or not -len(state.round) <= i < len(state.round):
    raise ValueError(f"i is {shown(i)}: expected a member, an int in [0, {len(state.round)})")
  return jax.tree.map(lambda x: x[i], jax.device_get(state))


def failures(metrics: Mapping[str, np.ndarray]) -> dict[int, tuple[int, str, float]]:
  """Lists the members whose numbers are not finite any more.

  Args:
    metrics: {name: [rounds, n]}, as `play` yields them.

  Returns:
    {member: result of `diagnostics.first_not_finite`}.

  Raises:
    ValueError: for metrics of another shape.
  """
  arrays = list(metrics.values()) if isinstance(metrics, Mapping) else []
  if not arrays or any(np.ndim(x) != 2 or np.shape(x) != np.shape(arrays[0]) for x in arrays):
    given = {k: list(np.shape(x)) for k, x in metrics.items()} if arrays else shown(metrics)
    raise ValueError(
      f"metrics are {shown(given)}: expected arrays [rounds, n], as play yields them"
    )
  n = next(iter(metrics.values())).shape[1]
  first = {i: first_not_finite({k: x[:, i] for k, x in metrics.items()}) for i in range(n)}
  return {i: bad for i, bad in first.items() if bad is not None}


# --- members on devices -------------------------------------------------------------------------


def _own(people: Population) -> tuple[np.ndarray, dict[str, np.ndarray]]:
  """Returns seeds [n] and numbers {name: [n]} of the members; refuses anything but a population."""
  if not isinstance(people, Population):
    raise ValueError(f"people is {shown(people)}: expected a Population(make, seeds, numbers)")
  seeds, numbers = np.asarray(people.seeds), people.numbers
  listed = seeds.ndim == 1 and len(seeds) and np.issubdtype(seeds.dtype, np.integer)
  if not listed or (seeds < 0).any() or (seeds >= 2**32).any():
    raise ValueError(
      "seeds of a population are a list of integers in [0, 2**32), such as np.arange(4), got "
      f"{shown(people.seeds)}"
    )
  if not isinstance(numbers, Mapping):
    raise ValueError(
      f"numbers of a population are {shown(numbers)}: expected them by name, such as "
      f'{{"rate": [...]}} with one of each for each of the {len(seeds)} seeds'
    )
  try:
    numbers = {name: np.asarray(values, np.float32) for name, values in numbers.items()}
  except (TypeError, ValueError) as error:
    raise ValueError(f"numbers of a population are no numbers: {error}") from error
  for name, values in numbers.items():
    if values.shape != seeds.shape:
      raise ValueError(
        f"a population of {len(seeds)} seeds has one number for each: expected "
        f"[{len(seeds)}] of {name!r}, got {list(values.shape)}"
      )
  return seeds.astype(np.uint32), numbers


def _batches_a_round(people: Population) -> int:
  """Counts the batches that a round is given, which are the same for all members."""
  numbers = {name: float(values[0]) for name, values in _own(people)[1].items()}
  if isinstance(people.make, type) or not takes(people.make, numbers):
    raise ValueError(
      f"make is {shown(people.make)}: expected a function of the numbers of one member to its "
      "game, such as lambda numbers: two_player(...)"
    )
  return batches_a_round(_game(people.make, numbers))


def _game(make: Callable[[Numbers], Game], numbers: Numbers) -> Game:
  """Builds a member's game; refuses uses of its numbers that tracing does not allow."""
  try:
    game = make(numbers)
  except KeyError as error:
    if error.args[0] in numbers:
      raise
    raise ValueError(
      f"make asks for the number {error}, and those of the population are {sorted(numbers)}: give "
      "one for each member in Population.numbers"
    ) from error
  except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError) as error:
    raise ValueError(
      "make looks at the value of a number, which is not known while the game is built: numbers "
      "can be weights, rates and decays; no sizes, and no Python `if` can ask for them"
    ) from error
  check_game(game)
  return game


def _check_batches(batches: Any) -> None:
  if not isinstance(batches, AnyBatches):
    raise ValueError(
      f"batches is {shown(batches)}: expected a data.Batches, from which each member reads in the "
      "order of its own seed, and not what its iterate() yields"
    )


def _check_states(people: Population, state: Any) -> None:
  """Refuses anything but the states of all members."""
  _check_stacked(state)
  if len(state.round) != len(people.seeds):
    raise ValueError(
      f"state is of {len(state.round)} members, and the population has {len(people.seeds)}: "
      "expected what start(people, batches) returns"
    )


def _check_stacked(state: Any) -> None:
  if not isinstance(state, State) or jnp.ndim(state.round) != 1:
    given = "that of one run" if isinstance(state, State) else shown(state)
    raise ValueError(
      f"state is {given}: expected the State of all members, which start(people, batches) "
      "returns, and play(...) yields as the second of three"
    )


def _mesh(people: Population) -> Mesh:
  """Builds the mesh of as many devices as can share the members evenly."""
  devices, n = jax.local_devices(), len(people.seeds)
  used = max(d for d in range(1, len(devices) + 1) if n % d == 0)
  return Mesh(np.array(devices[:used]), (AXIS,))


def _each(
  people: Population, f: Callable[..., PyTree], given: tuple[bool, ...] = ()
) -> Callable[..., PyTree]:
  """Compiles f(seeds, numbers, *more) for each device's members: a function of `more`.

  `given` says of each of these whether it is split by member; the first is donated.
  """
  mesh, mine = _mesh(people), PartitionSpec(AXIS)
  specs = (mine, mine, *(mine if split else PartitionSpec() for split in given))
  split = jax.shard_map(f, mesh=mesh, in_specs=specs, out_specs=mine, check_vma=False)
  own = jax.device_put(_own(people), NamedSharding(mesh, mine))
  return functools.partial(jax.jit(split, donate_argnums=(2,) if given else ()), *own)
