"""The folder of a run that somebody else made: nothing in it runs, and what is wrong is told."""

import json
import pathlib
import random
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore
from allowance import at_most
from elsewhere import environment

from gan_jax.files import read_json
from gan_jax.game.core import State
from gan_jax.run.config import default_config, network
from gan_jax.run.config.stored import read_config
from gan_jax.run.evaluation.cards.card import format_card
from gan_jax.run.evaluation.cards.files import read_card
from gan_jax.run.evaluation.scoring import _ended
from gan_jax.run.experiment import build
from gan_jax.run.results.folder import load
from gan_jax.run.results.rows import read_rows
from gan_jax.run.results.same_run import write_config
from gan_jax.run.training.saving.checkpoint import Checkpoints, DamagedError

MOST = 60 << 20
DEEP = "[" * 100_000
PLAIN = (ValueError, OSError)  # which the command line tells in one line


# --- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
  "content",
  [b"", b"{", b"[1]", b"3", b"null", b"\xff\xfe{", b"\x00" * 9, DEEP.encode(), b'{"a":' * 9999],
  ids=range(9),
)
def test_what_is_no_json_of_names_is_named(content, tmp_path):
  for name, read in (
    ("config.json", read_config),
    ("config.json", load),
    ("card.json", lambda folder: read_card(folder / "card.json")),
  ):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} is (damaged|no score card, or a damaged one)"):
      read(tmp_path)
  (tmp_path / "summary.json").write_bytes(content)
  assert not _ended(tmp_path)
  (tmp_path / "metrics.jsonl").write_bytes(content)
  assert read_rows(tmp_path) == []


def test_a_file_that_is_too_large_is_not_read(tmp_path):
  with (tmp_path / "config.json").open("wb") as file:
    file.truncate(1 << 40)  # of holes, which take no room on the disk
  with at_most(MOST), pytest.raises(ValueError, match=r"config\.json has more than 1000000 bytes"):
    read_json(tmp_path / "config.json", limit=1_000_000)


def test_rows_that_are_none_are_left_out(tmp_path):
  rows = ['{"round": 1, "a": "nan"}', '{"round": "2"}', '{"a": 3}', '{"round": 4, "a": [1]}', "{"]
  rows += ['{"round": 5, "a": "__import__(1)"}', '{"round": 6, "a": null}', DEEP, '{"round": 7}']
  (tmp_path / "metrics.jsonl").write_text("\n".join(rows))
  assert [row["round"] for row in read_rows(tmp_path)] == [1, 7]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  """The config of a small run, as JSON."""
  folder = tmp_path_factory.mktemp("run")
  config = default_config()
  config.data, config.generator = "ring8", network("mlp_generator", hidden=(8, 4))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  write_config(build(config), folder)
  return json.loads((folder / "config.json").read_text())


def places(tree, path=()):
  """Lists the paths of all values in nested names and lists."""
  yield path
  pairs = (
    tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
  )
  for key, value in pairs:
    yield from places(value, (*path, key))


HARM = [None, -1, 10**30, 1e308, "", "os.system", "__class__", "../../x", [], {}, [[]], {"name": 1}]


def test_any_value_in_a_config_is_an_error_that_is_told(written, tmp_path):
  """Each in turn of another type, out of range, or a name of something else."""
  draw = random.Random(0)
  for path in draw.sample([p for p in places(written) if p], 40):
    harmed = json.loads(json.dumps(written))
    section = harmed
    for key in path[:-1]:
      section = section[key]
    section[path[-1]] = draw.choice(HARM)
    (tmp_path / "config.json").write_text(json.dumps(harmed))
    with at_most(MOST), pytest.raises(PLAIN):  # at best, that there is no checkpoint
      load(tmp_path)


def test_a_game_larger_than_the_machine_is_not_made(written, tmp_path):
  harmed = json.loads(json.dumps(written))
  harmed["config"]["generator"]["hidden"] = [2_000_000, 2_000_000]
  (tmp_path / "config.json").write_text(json.dumps(harmed))
  with at_most(MOST), pytest.raises(ValueError, match=r"state has \d{14,} bytes, and this machine"):
    load(tmp_path)


def test_a_card_without_its_parts_is_none(tmp_path):
  good = {
    "scores": {"kl": [0.5, 0.25]},
    "better": {"kl": "min"},
    "made": {"version": 1, "checkpoint": "last", "fake": {"count": 9}},
    "run": {"round": 40, "draws": [1, 2]},
    "software": {},
  }
  path = tmp_path / "card.json"
  harm = [("scores", 3), ("scores", {"kl": "x"}), ("scores", {"fid": [1]}), ("better", [])]
  harm += [("made", {}), ("made", {"version": "2"}), ("run", []), ("run", {"round": "4"})]
  harm += [("made", {"version": 1, "checkpoint": []}), ("software", DEEP[:9])]
  path.write_text(json.dumps(good))
  assert format_card(read_card(path)).startswith("kl 0.375")
  for key, value in harm:
    path.write_text(json.dumps({**good, key: value}))
    with pytest.raises(ValueError, match=r"card\.json is no score card, or a damaged one"):
      read_card(path)


# --- checkpoints ----------------------------------------------------------------------------------


def make():
  return State(
    round=jnp.asarray(1, jnp.int32),
    images=jnp.asarray(8, jnp.uint32),
    key=jax.random.key(7),
    params={"net": {"w": jnp.ones((4, 2))}},
    carried={"net": {}},
    opt={},
    ema={},
  )


@pytest.fixture
def saved(tmp_path):
  with Checkpoints(tmp_path / "c") as checkpoints:
    checkpoints.save(make())
  return tmp_path / "c"


def restore(folder):
  with Checkpoints(folder) as checkpoints:
    return checkpoints.restore(jax.eval_shape(make))


# In a process of its own: what Orbax has begun to read when it fails ends some time later.
HARM_NAMES = """
import contextlib, json, pathlib, sys
from test_hostile_run import DamagedError, restore

def texts(value):
  if isinstance(value, str):
    return {value}
  inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
  return set().union(*map(texts, inside))

saved, tried = pathlib.Path(sys.argv[1]), 0
for name in ("_CHECKPOINT_METADATA", "state/_METADATA", "state/_sharding"):
  path = saved / "1" / name
  whole = path.read_text()
  for text in sorted(texts(json.loads(whole))):
    path.write_text(whole.replace(json.dumps(text), '"harmful.Harm"'))
    with contextlib.suppress(DamagedError):
      restore(saved)
    tried += 1
  path.write_text(whole)
assert restore(saved).params["net"]["w"].sum() == 8
print(tried, "harmful" in sys.modules)
"""


def test_no_name_in_the_files_of_a_checkpoint_is_imported(saved, tmp_path):
  """Orbax writes the classes of what it saved: each text in turn names one that does harm."""
  (tmp_path / "harmful.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')")
  here = pathlib.Path(__file__).parent
  command = [sys.executable, "-c", HARM_NAMES, str(saved)]
  where = environment(here, tmp_path)
  done = subprocess.run(command, capture_output=True, text=True, env=where)
  assert done.returncode == 0, done.stderr
  tried, imported = done.stdout.split()
  assert int(tried) >= 8 and imported == "False" and not (tmp_path / "made").exists()


def array_file(folder: pathlib.Path) -> tensorstore.KvStore:
  spec = {"driver": "ocdbt", "base": f"file://{folder}/1/state/"}
  return tensorstore.KvStore.open(spec).result()


@pytest.mark.parametrize("what", ["shape", "chunks", "both"])
def test_an_array_that_announces_more_than_it_has_is_not_read(saved, what):
  store, name = array_file(saved), b"params.net.w/.zarray"
  about = json.loads(store.read(name).result().value)
  about |= {key: [2**34, 2] for key in ("shape", "chunks") if what in (key, "both")}
  store.write(name, json.dumps(about).encode()).result()
  with at_most(MOST), pytest.raises(DamagedError):
    restore(saved)


def test_a_part_of_an_array_that_unfolds_to_much_is_not_unfolded(saved):
  """The right numbers, in one part of 256 MB that a few kB of zeros unfold to."""
  rows = 2**25
  store, name = array_file(saved), b"params.net.w/.zarray"
  about = json.loads(store.read(name).result().value)
  kvstore = {"driver": "ocdbt", "base": f"file://{saved}/1/state/", "path": "params.net.w/"}
  spec = {"driver": "zarr", "kvstore": kvstore, "create": True, "delete_existing": True}
  spec["metadata"] = {**about, "shape": [rows, 2], "chunks": [rows, 2]}
  array = tensorstore.open(spec).result()
  array[...].write(np.ones((rows, 2), np.float32)).result()
  store.write(name, json.dumps({**about, "chunks": [rows, 2]}).encode()).result()
  size = sum(path.stat().st_size for path in saved.rglob("*") if path.is_file())
  assert size < 1 << 20
  with at_most(MOST), pytest.raises(DamagedError):
    restore(saved)
