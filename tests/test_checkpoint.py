"""Checkpoints: restored bit for bit, and never believed when damaged."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax.checkpoint import Checkpoints, DamagedError
from gan_jax.game import State


def make(round=0, width=3):
  params = {"net": {"w": jax.random.normal(jax.random.key(round), (width, 2))}}
  return State(
    round=jnp.asarray(round, jnp.int32),
    key=jax.random.key(7),
    params=params,
    carried={"net": {}, "player.term": {"mean": jnp.asarray(0.1 + round)}},
    opt={"player": optax.adam(1e-3).init(params)},
    ema={"net": {"w": jnp.full((width, 2), 0.5, jnp.bfloat16)}},
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
