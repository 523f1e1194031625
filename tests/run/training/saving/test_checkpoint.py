"""Checkpoints: restored bit for bit, and never believed when damaged."""

import contextlib
import gc
import json
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from elsewhere import environment

from gan_jax.game.core import Ema, State
from gan_jax.run.training.saving.checkpoint import Checkpoints, DamagedError, SaveError
from gan_jax.run.training.saving.rollback import read_rollbacks

HERE = pathlib.Path(__file__).parent


def make(round=0, width=3):
  params = {"net": {"w": jax.random.normal(jax.random.key(round), (width, 2))}}
  return State(
    round=jnp.asarray(round, jnp.int32),
    images=jnp.asarray(8 * round, jnp.uint32),
    key=jax.random.key(7),
    params=params,
    carried={"net": {}, "player.term": {"mean": jnp.asarray(0.1 + round)}},
    opt={"player": optax.adam(1e-3).init(params)},
    ema={"net": Ema({"w": jnp.full((width, 2), 0.5, jnp.bfloat16)}, {}, jnp.float32(0.25))},
  )


def same(a, b):
  raw = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
  pairs = zip(*map(jax.tree.leaves, (a, b)), strict=True)
  return all(
    x.dtype == y.dtype and (np.asarray(raw(x)) == np.asarray(raw(y))).all() for x, y in pairs
  )


def saved(folder, *rounds, keep=3):
  with Checkpoints(folder, keep) as checkpoints:
    for r in rounds:
      checkpoints.save(make(r))


def biggest(folder):
  return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


def test_a_key_of_the_kind_rbg_goes_on_as_one_of_ours(tmp_path, caplog):
  """Runs made them where JAX's default said so; the rest of such a state is as good as any."""
  with Checkpoints(tmp_path / "c") as checkpoints:
    checkpoints.save(make(5).replace(key=jax.random.key(7, impl="rbg")))
    checkpoints.wait()
    assert same(checkpoints.restore(make()), make(5))
  assert "another kind" in caplog.text


def test_state_comes_back_bit_for_bit(tmp_path):
  saved(tmp_path / "c", 5)
  with Checkpoints(tmp_path / "c") as checkpoints:
    got = checkpoints.restore(jax.eval_shape(make))
  assert same(got, make(5)) and jax.tree.structure(got) == jax.tree.structure(make(5))


def test_nothing_saved_is_none_and_makes_no_folder(tmp_path):
  with Checkpoints(tmp_path / "c") as checkpoints:
    assert checkpoints.restore(make()) is None and checkpoints.rounds() == []
  assert not (tmp_path / "c").exists()


def test_the_newest_are_kept_and_any_can_be_named(tmp_path):
  saved(tmp_path, 1, 2, 3, 4, keep=2)
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.rounds() == [3, 4]
    assert same(checkpoints.restore(make()), make(4))
    assert same(checkpoints.restore(make(), 3), make(3))
    with pytest.raises(ValueError, match=r"no checkpoint of round 1 .*\[3, 4\]"):
      checkpoints.restore(make(), 1)


def test_saving_a_round_again_changes_nothing(tmp_path):
  saved(tmp_path, 1)
  saved(tmp_path, 1, 2)
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.rounds() == [1, 2]


def flip(path):
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


@pytest.mark.parametrize(
  "damage", [flip, lambda p: p.write_bytes(p.read_bytes()[:-9]), lambda p: p.unlink()]
)
def test_damage_is_named_and_the_checkpoint_before_is_used(tmp_path, damage, caplog):
  saved(tmp_path, 1, 2)
  damage(biggest(tmp_path / "2" / "state"))
  with Checkpoints(tmp_path) as checkpoints:
    assert same(checkpoints.restore(make()), make(1))
    assert f"{tmp_path / '2'} is damaged" in caplog.text
    assert checkpoints.rounds() == [1, 2]  # a reader deletes nothing
    assert same(checkpoints.restore(make(), repair=True), make(1))
    assert checkpoints.rounds() == [1]
    checkpoints.save(make(2))
  with Checkpoints(tmp_path) as checkpoints:
    assert same(checkpoints.restore(make()), make(2))


def test_nothing_but_damage_is_an_error(tmp_path):
  saved(tmp_path, 1)
  flip(biggest(tmp_path / "1" / "state"))
  with Checkpoints(tmp_path) as checkpoints, pytest.raises(DamagedError, match="is damaged"):
    checkpoints.restore(make())


def test_a_damaged_round_that_was_named_is_not_replaced(tmp_path):
  saved(tmp_path, 1, 2)
  flip(biggest(tmp_path / "1" / "state"))
  found = pytest.raises(DamagedError, match=r"1 is damaged \(.*other rounds: \[2\]")
  with Checkpoints(tmp_path) as checkpoints, found:
    checkpoints.restore(make(), 1)


def test_nothing_is_deleted_unless_something_was_restored(tmp_path, monkeypatch):
  saved(tmp_path, 1, 2)
  with Checkpoints(tmp_path) as checkpoints:
    fail = lambda error: lambda *_, **__: (_ for _ in ()).throw(error)
    monkeypatch.setattr(checkpoints._manager, "restore", fail(OSError(24, "Too many open files")))
    with pytest.raises(OSError, match="Too many open files"):
      checkpoints.restore(make(), repair=True)
    monkeypatch.setattr(checkpoints._manager, "restore", fail(ValueError("nonsense")))
    with pytest.raises(DamagedError, match=r"every checkpoint .* rounds \[1, 2\]"):
      checkpoints.restore(make(), repair=True)
    assert checkpoints.rounds() == [1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2"]


def test_what_several_devices_saved_one_can_read(tmp_path):
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("data",))
  everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(jax.device_put(make(1), everywhere))
  with Checkpoints(tmp_path) as checkpoints:
    got = checkpoints.restore(jax.eval_shape(make))
  assert same(got, make(1)) and got.params["net"]["w"].sharding.device_set == {jax.devices()[0]}


def test_checkpoint_of_another_game_is_refused_not_repaired(tmp_path):
  saved(tmp_path, 1)
  with Checkpoints(tmp_path) as checkpoints:
    with pytest.raises(ValueError, match=r"another game: .*16\[3, 2\] there, .*16\[4, 2\] here"):
      checkpoints.restore(make(width=4), repair=True)
    assert checkpoints.rounds() == [1]


def test_restores_onto_other_devices(tmp_path):
  saved(tmp_path, 1)
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), ("data",))
  everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  like = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), jax.eval_shape(make)
  )
  with Checkpoints(tmp_path) as checkpoints:
    got = checkpoints.restore(like)
  assert same(got, make(1)) and got.params["net"]["w"].sharding.is_equivalent_to(everywhere, 2)


def test_every_n_are_kept_for_good(tmp_path):
  with Checkpoints(tmp_path, keep=1, every=2) as checkpoints:
    for r in (1, 2, 3, 4, 5):
      checkpoints.save(make(r))
    checkpoints.wait()
    assert checkpoints.rounds() == [2, 4, 5]


def test_notes_lie_beside_the_state(tmp_path):
  notes = {"last": {"V": 0.1}, "seen": {"a": [1.5, float("inf")]}}
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(make(1), lambda leaves: notes)
    checkpoints.save(make(2))
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.notes(1) == notes and checkpoints.notes(2) == {}


def test_checkpoints_from_before_there_were_notes_are_read(tmp_path):
  saved(tmp_path, 1)
  path = tmp_path / "1/leaves/metadata"
  path.write_text(json.dumps(json.loads(path.read_text())["leaves"]))
  with Checkpoints(tmp_path) as checkpoints:
    assert same(checkpoints.restore(make()), make(1)) and checkpoints.notes(1) == {}
  flip(biggest(tmp_path / "1/state"))
  with Checkpoints(tmp_path) as checkpoints, pytest.raises(DamagedError):
    checkpoints.restore(make())


# --- behind the rounds that follow ----------------------------------------------------------------


def test_a_save_waits_for_nothing_and_the_state_may_be_donated(tmp_path):
  gate, first, threads = threading.Event(), make(1), set()

  def look(leaves):
    threads.add(threading.current_thread())
    assert gate.wait(60)
    return {"mean": float(leaves[".carried['player.term']['mean']"])}

  donate = jax.jit(lambda params: jax.tree.map(jnp.negative, params), donate_argnums=0)
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(first, look)
    donate(first.params)
    assert first.params["net"]["w"].is_deleted()
    checkpoints.check()
    assert not checkpoints.rounds() and not list(tmp_path.iterdir())
    gate.set()
    checkpoints.inspected()
    checkpoints.wait()
    assert checkpoints.rounds() == [1]
  assert threads and threading.main_thread() not in threads
  with Checkpoints(tmp_path) as checkpoints:
    assert same(checkpoints.restore(make()), make(1))
    assert checkpoints.notes(1) == {"mean": pytest.approx(1.1)}


def test_saves_leave_nothing_in_memory(tmp_path):
  """TensorStore would keep 310 blocks of Python's memory for each, of what Orbax asks it for."""
  blocks, state = [], make()
  gc.freeze()  # what other tests have left, which would take the time of collections
  with Checkpoints(tmp_path) as checkpoints:
    for r in range(1, 24):
      checkpoints.save(state.replace(round=jnp.asarray(r)))
      checkpoints.wait()
      gc.collect()
      blocks.append(sys.getallocatedblocks())
  gc.unfreeze()
  # The median: what threads hold comes and goes, as the machine has time. Caches fill at first.
  assert np.median(np.diff(blocks[12:])) < 200


def refuse(leaves):
  raise FloatingPointError(f"round {leaves['.round']} is bad")


@pytest.mark.parametrize("asked", ["inspected", "wait", "close", "save"])
def test_what_inspecting_raises_is_raised_once_and_nothing_is_written(tmp_path, asked):
  checkpoints = Checkpoints(tmp_path / "c")
  checkpoints.save(make(1), refuse)
  while not checkpoints._writing.done():
    checkpoints.check()  # is for what cannot be written
  with pytest.raises(FloatingPointError, match="round 1 is bad"):
    checkpoints.save(make(2)) if asked == "save" else getattr(checkpoints, asked)()
  checkpoints.check()
  checkpoints.inspected()
  checkpoints.wait()
  assert not (tmp_path / "c").exists()
  checkpoints.save(make(3))
  checkpoints.close()
  assert [p.name for p in (tmp_path / "c").iterdir()] == ["3"]


def test_one_thread_writes_in_the_order_of_saves(tmp_path):
  """The best checkpoint of a round is there before that from which a run goes on."""
  gate, thread = threading.Event(), ThreadPoolExecutor(max_workers=1)
  with (
    Checkpoints(tmp_path / "all", thread=thread) as checkpoints,
    Checkpoints(tmp_path / "best", thread=thread) as best,
  ):
    best.save(make(1), lambda leaves: {"waited": gate.wait(60)})
    checkpoints.save(make(1), lambda leaves: {"best": [p.name for p in best.folder.iterdir()]})
    gate.set()
  with Checkpoints(tmp_path / "all") as checkpoints:
    assert same(checkpoints.restore(make()), make(1)) and checkpoints.notes(1) == {"best": ["1"]}


def elsewhere(function, folder):
  """Calls a function of this file in another process: Orbax's threads warn of what they met."""
  code = f"import json, test_checkpoint as t; print(json.dumps(t.{function}({str(folder)!r})))"
  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=HERE,
    env=environment(HERE),
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  return json.loads(done.stdout)


def damage_every_file(folder):
  """Lists the files that were damaged, and the round that was restored; 0 if it was neither."""
  folder, found = pathlib.Path(folder), []
  for path in sorted(p for p in (folder / "2").rglob("*") if p.is_file()):
    whole = path.read_bytes()
    flips = [flipped(whole, at) for at in (0, len(whole) // 3, len(whole) - 1)]
    for damaged in (*flips, whole[: len(whole) // 2], b"", None):
      path.unlink() if damaged is None else path.write_bytes(damaged)
      with Checkpoints(folder) as checkpoints:
        state = checkpoints.restore(make())
      path.write_bytes(whole)
      found.append((path.name, next((r for r in (1, 2) if same(state, make(r))), 0)))
  return found


def test_whichever_file_is_damaged_no_wrong_number_is_restored(tmp_path):
  """Bits flipped at three places, half of it, nothing in it, gone."""
  saved(tmp_path, 1, 2)
  found = elsewhere("damage_every_file", tmp_path)
  assert len(found) > 60 and {r for _, r in found} == {1, 2}
  for name in ("metadata", "_METADATA"):  # in which everything matters
    assert {r for damaged, r in found if damaged == name} == {1}


def flipped(data, at):
  return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


# --- disks ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def files_limited_to(size):
  """Lets no file grow beyond this size, as a disk that is full."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def fill_the_disk(folder):
  """Saves rounds while there is room, while there is none, and when there is again."""
  folder, told = pathlib.Path(folder), []
  with Checkpoints(folder) as checkpoints:
    checkpoints.save(make(1))
    checkpoints.wait()
    with files_limited_to(300):
      checkpoints.save(make(2))
      try:
        for _ in range(60_000):  # as between two dispatches; it only ends what hangs
          checkpoints.check()
          time.sleep(0.01)
      except SaveError as error:
        told.append(str(error))
    checkpoints.save(make(3))
  try:
    with files_limited_to(300), Checkpoints(folder) as checkpoints:
      checkpoints.save(make(4))
  except SaveError as error:
    told.append(str(error))
  return told


def test_a_full_disk_is_one_plain_error_and_what_was_saved_stays(tmp_path):
  for told, newest in zip(elsewhere("fill_the_disk", tmp_path), (1, 3), strict=True):
    assert "could not be written" in told and f"the newest checkpoint is of round {newest}" in told
    assert "\n" not in told and len(told) < 600
  with Checkpoints(tmp_path) as checkpoints:
    assert checkpoints.rounds() == [1, 3]
    assert same(checkpoints.restore(make(), repair=True), make(3))
  assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "3"]  # what was begun takes no room


def test_what_a_killed_save_has_left_goes_when_the_run_goes_on(tmp_path):
  saved(tmp_path, 1)
  left = tmp_path / "2.orbax-checkpoint-tmp"
  (left / "state").mkdir(parents=True)
  with Checkpoints(tmp_path) as checkpoints:
    assert same(checkpoints.restore(make()), make(1)) and left.exists()  # a reader deletes nothing
    assert same(checkpoints.restore(make(), repair=True), make(1)) and not left.exists()


@pytest.mark.parametrize("text", ["", "{}", '{"rollbacks": 3}'])
def test_damaged_rollbacks_are_named(text, tmp_path):
  (tmp_path / "rollbacks.json").write_text(text)
  with pytest.raises(ValueError, match=r"rollbacks\.json is damaged"):
    read_rollbacks(tmp_path)
