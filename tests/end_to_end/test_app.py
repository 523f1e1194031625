"""What a user types, in processes of their own."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import commands
import numpy as np
import pytest
from made_runs import made_run
from patience import HANG
from PIL import Image

from gan_jax.data import load as load_data
from gan_jax.run.evaluation.cards.files import read_card

ROOT = pathlib.Path(__file__).parents[2]
TINY = ["--config.generator.width=8", "--config.discriminator.width=8", "--config.batch_size=32"]
SMALL_RING = [
  "--config.generator.hidden=(16,)",
  "--config.discriminator.hidden=(16,)",
  "--config.rounds_per_call=10",
  "--config.log_every=20",
  "--config.sample_every=20",
  "--config.checkpoint_every=20",
  "--config.evaluate_every=0",
  "--config.batch_size=32",
  "--config.num_fake=200",
  "--config.num_samples=100",
]


def ring(workdir, rounds):
  config = ROOT / "experiments/ring.py"
  return ["train", f"--config={config}", f"--workdir={workdir}", f"--config.rounds={rounds}"]


def size(path):
  with Image.open(path) as image:
    return image.size


def rows(workdir):
  return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="session")
def whole(gan_jax, once):
  """40 rounds at once, with curves: the folder, and what was told."""

  def play(folder):
    told = gan_jax(*ring(folder / "run", 40), *SMALL_RING, curves=True)
    (folder / "told").write_text(told)

  folder = once("whole", play)
  return folder / "run", (folder / "told").read_text()


@pytest.fixture
def played(whole, tmp_path):
  """A folder of these rounds, to do with as one likes."""
  return pathlib.Path(shutil.copytree(whole[0], tmp_path / "played"))


# --- a run ----------------------------------------------------------------------------------------


def test_a_run_leaves_all_that_it_should(whole):
  workdir, told = whole
  begins = (
    "preparing the evaluator",
    "compiling 10 rounds in one program",
    "compiled in",
    "round ",
  )
  assert all(line.startswith(begins) for line in told.splitlines())
  assert "round 40/40" in told and "ETA" in told and "img/s" in told
  assert "D(x)" in told and "D(G(z))" in told and "loss D" in told
  assert [row["round"] for row in rows(workdir)] == [20, 40]
  last = rows(workdir)[-1]
  for player in ("discriminator", "generator"):
    for what in ("loss", "adversarial", "gradient_norm"):
      assert np.isfinite(last[f"{player}/{what}"])
  for name in ("discriminator/r1", "D_real", "D_fake", "accuracy", "V", "V_gap"):
    assert np.isfinite(last[name])
  assert last["images"] == 40 * 32
  assert {"score/modes", "score/high_quality", "score/kl"} <= set(last)
  assert sorted(p.name for p in (workdir / "samples").iterdir()) == [
    "00000020.png",
    "00000040.png",
  ]
  assert size(workdir / "curves.png")[0] > 400
  assert json.loads((workdir / "config.json").read_text())["config"]["rounds"] == 40
  summary = json.loads((workdir / "summary.json").read_text())
  assert summary["scores"]["modes"].keys() == {"last", "best", "best_round"}
  assert summary["machine"]["jax"] and summary["wall_seconds"] > 0
  assert list((workdir / "tensorboard").glob("events*"))
  assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["20", "40"]


def test_a_run_in_two_parts_equals_one_in_one(gan_jax, whole, tmp_path):
  """40 rounds at once, and 20 with the rest in a new process: rows, pictures, bits of state."""
  whole, parts = whole[0], tmp_path
  gan_jax(*ring(parts, 20), *SMALL_RING)
  gan_jax("train", f"--workdir={parts}", "--config.rounds=40")
  leaves = [json.loads((w / "checkpoints/40/leaves/metadata").read_text()) for w in (whole, parts)]
  assert leaves[0] == leaves[1] and all("crc32" in leaf for leaf in leaves[0]["leaves"].values())
  timing = {"seconds", "rounds_per_second", "images_per_second"}
  known = lambda row: {
    k: v
    for k, v in row.items()
    if k not in timing and not k.startswith("score/") and k != "evaluation"
  }
  assert [known(r) for r in rows(whole)] == [known(r) for r in rows(parts)]
  assert rows(whole)[-1]["score/kl"] == rows(parts)[-1]["score/kl"]
  pictures = [(w / "samples/00000040.png").read_bytes() for w in (whole, parts)]
  assert pictures[0] == pictures[1]


def test_an_interrupted_run_is_saved_and_goes_on(gan_jax, cache, tmp_path):
  """By SIGINT; by SIGTERM, which has the same handler, two processes are in test_processes.py."""
  command = [sys.executable, "-m", "gan_jax.run.cli.app", *ring(tmp_path, 1_000_000), *SMALL_RING]
  command += ["--config.checkpoint_every=0", f"--grace_seconds={HANG}"]  # then it alone saves
  environment = {**os.environ, "GAN_JAX_CACHE": str(cache)}
  with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
    for begin in ("preparing the evaluator", "compiling 10 rounds", "compiled in", "round 20/"):
      assert process.stderr.readline().startswith(begin)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=HANG)[1]
  assert process.returncode == 75 and "Traceback" not in told
  (saved,) = (int(p.name) for p in (tmp_path / "checkpoints").iterdir())
  assert saved >= 20 and f"stopped at round {saved}; start it again to go on" in told
  more = f"--config.rounds={saved + 20}"
  gan_jax("train", f"--workdir={tmp_path}", more)
  assert rows(tmp_path)[-1]["round"] == saved + 20


def test_a_finished_run_is_left_alone(gan_jax, played):
  read = lambda: [(played / name).read_text() for name in ("summary.json", "metrics.jsonl")]
  before = read()
  assert "has played its 40 rounds already" in gan_jax("train", f"--workdir={played}")
  assert before == read()


def test_a_folder_of_images_without_a_test_split_trains(gan_jax, tmp_path):
  rng = np.random.default_rng(0)
  for label in ("cats", "dogs"):
    (tmp_path / "images" / label).mkdir(parents=True)
    for i in range(4):
      pixels = rng.integers(0, 256, (30, 40, 3), np.uint8)
      Image.fromarray(pixels).save(tmp_path / "images" / label / f"{i}.png")
  told = gan_jax(
    "train",
    f"--config={ROOT / 'experiments/conditional_mnist.py'}",
    f"--workdir={tmp_path / 'run'}",
    f"--config.data=folder:{tmp_path / 'images'}",
    "--config.data_options.image_size=28",
    *TINY,
    "--config.batch_size=8",
    "--config.num_fake=8",
    "--config.evaluation.features=random_projection",
    "--config.rounds=2",
  )
  why = "scores are against the training split: there is no test split; hold some out by "
  assert f"{why}--config.data_options.hold_out=0.1" in told
  assert "round 2/2" in told
  assert size(tmp_path / "run/samples/00000002.png")[0] > 28
  summary = json.loads((tmp_path / "run/summary.json").read_text())
  assert set(summary["scores"]) == {"frechet_distance"}
  assert summary["card"]["real"]["split"] == "train" and why in summary["card"]["notes"][0]


# --- images, classes, samples ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def digits(once, gan_jax, tmp_path_factory):
  """A conditional run on the bundled digits, a few rounds long; each worker scores a copy."""

  def play(workdir):
    command = ["train", f"--workdir={workdir}", *TINY]
    command += [f"--config={ROOT / 'experiments/conditional_mnist.py'}", "--config.rounds=4"]
    command += ["--config.log_every=2", "--config.num_fake=200", "--config.num_samples=20"]
    gan_jax(*command)

  copy = tmp_path_factory.mktemp("digits") / "run"
  return pathlib.Path(shutil.copytree(once("digits", play), copy))


def test_scores_of_images_say_how_they_were_made(gan_jax, digits):
  summary = json.loads((digits / "summary.json").read_text())
  assert {"frechet_distance", "classes", "class_kl", "class_accuracy"} <= set(summary["scores"])
  assert summary["card"]["backbone"]["accuracy"] > 0.98 and summary["card"]["ema"] is True
  last = summary["scores"]["frechet_distance"]["last"]
  cards = {read_card(path).protocol["checkpoint"]: path for path in (digits / "cards").iterdir()}
  assert set(cards) == {"last", "best"}  # made while training
  made = cards["last"]
  assert read_card(made).scores["frechet_distance"] == pytest.approx([last])
  told = gan_jax("evaluate", f"--workdir={digits}", "--draws=2")
  assert "frechet_distance" in told and " ± " in told and "last, round 4" in told
  assert "200 fakes x 2" in told and "averaged weights" in told and f"wrote {made}" in told
  draws = read_card(made).scores["frechet_distance"]
  assert len(set(draws)) == 2 and last not in draws  # none is that of training
  told = gan_jax("evaluate", f"--workdir={digits}", "--noema", "--checkpoint=last")
  path = next(told for told in told.splitlines() if told.startswith("wrote ")).split()[1]
  raw = read_card(path)
  assert raw.protocol["ema"] is False and raw.scores["frechet_distance"][0] not in draws
  told = gan_jax("compare", made, path, code=1)
  assert "cannot be compared" in told and "ema: True there, False here" in told
  told = gan_jax("compare", made, path, "--despite=ema")
  assert "frechet_distance" in told and "of one run each" in told


def test_other_scores_can_be_asked_for(gan_jax, digits):
  metrics = "--metrics=kernel,class_frechet,path_length"
  flags = ["--features=random_projection", metrics, "--real=train"]
  told = gan_jax("evaluate", f"--workdir={digits}", *flags, "--num_fake=300")
  assert "path_length" in told and "random projection" in told and "300 fakes x 1" in told
  path, _ = (line.split()[1] for line in told.splitlines() if line.startswith("wrote "))
  made = read_card(path).protocol
  assert made["real"]["split"] == "train" and set(made["metrics"]) >= {"kernel", "class_frechet"}
  for flag, why in (
    ("--features=inception:nowhere.pth", "nowhere.pth"),
    ("--checkpoint=3", "no checkpoint of round 3"),
  ):
    told = gan_jax("evaluate", f"--workdir={digits}", flag, code=1)
    assert why in told and "Traceback" not in told


def test_a_run_is_followed_and_its_best_checkpoint_shown_beside_the_last(gan_jax, tmp_path):
  gan_jax(*ring(tmp_path, 60), *SMALL_RING, "--config.evaluate_every=20")
  told = gan_jax("evaluate", f"--workdir={tmp_path}", "--follow", "--num_fake=100")
  for part in ("asked for, round 20", "asked for, round 60", "last, round 60", "best, round "):
    assert part in told
  again = gan_jax("evaluate", f"--workdir={tmp_path}", "--follow", "--num_fake=100")
  assert "asked for" not in again and "last, round 60" in again


def test_samples_come_class_by_class_without_the_data(gan_jax, digits, tmp_path):
  gan_jax(
    "sample",
    f"--workdir={digits}",
    "--num=30",
    f"--out={tmp_path / 'grid.png'}",
    f"--npz={tmp_path / 'arrays.npz'}",
    cwd=tmp_path,
  )
  arrays = np.load(tmp_path / "arrays.npz")
  assert arrays["x"].shape == (30, 28, 28, 1) and arrays["x"].dtype == np.uint8
  assert arrays["y"].tolist() == np.repeat(np.arange(10), 3).tolist()
  gan_jax("sample", digits, "--num=30", f"--out_dir={tmp_path / 'each'}")
  back = load_data(f"folder:{tmp_path / 'each'}").arrays
  np.testing.assert_array_equal(back["x"], arrays["x"])
  np.testing.assert_array_equal(back["y"], arrays["y"])
  assert size(tmp_path / "grid.png") == (3 * 29 - 1, 10 * 29 - 1)
  with Image.open(tmp_path / "grid.png") as grid:
    assert grid.text == {"Description": "class by class: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"}
  flags = ["--features=classifier", "--metrics=frechet,classes", "--split=test"]
  path, out = tmp_path / "arrays.npz", tmp_path / "card.json"
  told = gan_jax("score", "--real=mnist10k", f"--fake={path}", *flags, f"--card={out}")
  assert "made elsewhere" in told and "30 fakes x 1" in told and "mnist10k test 2,000" in told
  assert read_card(out).run["images"] == [f"npz:{path}"]
  gan_jax(
    "sample", f"--workdir={digits}", "--num=40", "--interpolate", f"--out={tmp_path / 'walk.png'}"
  )
  assert size(tmp_path / "walk.png") == (10 * 29 - 1, 4 * 29 - 1)
  for flag, why in (
    ("--neighbours=99999", "expected at most the 10000 training images"),
    ("--labels=cat", "there is no class 'cat'"),
  ):
    told = gan_jax("sample", digits, flag, f"--out={tmp_path / 'no.png'}", code=2)
    assert f"gan_jax: {flag}: {why}" in told


def test_latents_of_a_run_are_found_and_walked(gan_jax, digits, tmp_path):
  at = lambda name: f"--out={tmp_path / name}"
  few = ["--num=2", "--steps=1", "--starts=1", "--neighbours=1", f"--npz={tmp_path / 'z.npz'}"]
  told = gan_jax("project", digits, "--images=mnist10k", "--split=test", *few, at("pairs.png"))
  assert "2 images in z, by pixels: PSNR " in told and "of 2 projections are nearer" in told
  found = np.load(tmp_path / "z.npz")
  assert found["latents"].shape == (2, 64) and found["targets"].shape == (2, 28, 28, 1)
  expected = load_data("mnist10k", "test")
  assert set(found["y"]) <= set(range(10)) and found["x"].dtype == expected.arrays["x"].dtype
  with Image.open(tmp_path / "pairs.png") as pairs:
    assert pairs.text == {"Description": "image, projection, nearest, row by row"}
  told = gan_jax("walk", digits, "--labels=3,8", "--num=1", "--seconds=0.1", at("walk.gif"))
  with Image.open(tmp_path / "walk.gif") as film:
    assert film.n_frames == 4 and film.info["loop"] == 0 and film.size == (280, 280)
  assert told == f"wrote {tmp_path / 'walk.gif'} (0.{told.split('0.')[-1]}"


def test_directions_and_pages_of_a_run(gan_jax, digits, tmp_path):
  at = lambda name: f"--out={tmp_path / name}"
  told = gan_jax("directions", digits, "--num=2", f"--npz={tmp_path / 'd.npz'}", at("rows.png"))
  assert "path length" in told and len(told.splitlines()) == 5
  vectors = np.load(tmp_path / "d.npz")["vectors"]
  np.testing.assert_allclose(vectors @ vectors.T, np.eye(2), atol=1e-9)  # of float64
  gan_jax("sample", digits, "--seeds=0-2,9", "--truncation=2,0.5", at("page.png"))
  assert size(tmp_path / "page.png")[1] == 14 + 2 * (56 + 3)
  told = gan_jax("sample", digits, "--seeds=0", "--mix=1", at("no.png"), code=2)
  assert "--mix=1: dcgan_generator has no styles w: expected z" in told


def test_three_lines_of_python(digits):
  from gan_jax.run.evaluation.draws import with_neighbours
  from gan_jax.run.results.folder import load

  run = load(digits, changes={"evaluation.features": "pixels"})
  images = run.sample(12)
  assert images.shape == (12, 28, 28, 1) and images.dtype == np.uint8
  np.testing.assert_array_equal(run.sample(12, labels=run.labels(12)), images)
  assert (run.sample(12, seed=1) != images).any()
  rows = run.sweep([9.0, 0.5], 10)
  assert rows.shape == (20, 28, 28, 1) and (rows[:10] != rows[10:]).any()
  np.testing.assert_array_equal(rows[:10], run.sample(10, truncation=9.0))
  shown = with_neighbours(run, 3, k=2)
  train = load_data("mnist10k").arrays["x"].reshape(-1, 784).astype(float)
  np.testing.assert_array_equal(shown[::3], run.sample(3))
  for made, nearest in zip(shown[::3], shown[1::3], strict=True):
    least = np.linalg.norm(train - made.reshape(-1), axis=1).min()
    assert np.linalg.norm(nearest.astype(float) - made) == pytest.approx(least)


def test_notebook_form():
  """The loop of the README, as it stands there."""
  text = (ROOT / "README.md").read_text()
  code = text.split("<!-- notebook -->")[1].split("```python\n")[1].split("```")[0]
  names = {}
  exec(compile(code, "README.md", "exec"), names)
  assert names["state"].round == names["rounds"]
  assert names["images"].shape[1:] == (2,)


# --- mistakes -------------------------------------------------------------------------------------


def test_checkpoints_without_a_config_are_refused(gan_jax, played):
  (played / "config.json").unlink()
  told = gan_jax(*ring(played, 40), *SMALL_RING, code=1)
  assert "has checkpoints and no config.json" in told and "Traceback" not in told


def test_changed_config_is_refused_with_the_difference(gan_jax, played):
  told = gan_jax(*ring(played, 40), *SMALL_RING, "--config.loss=hinge", code=1)
  assert "loss: non_saturating there, hinge here" in told
  assert "--allow_config_change" in told and "Traceback" not in told
  told = gan_jax("train", f"--workdir={played}", "--config.lss=hinge", code=2)
  assert "config has no key 'lss'; its keys: augmentation, average, " in told
  told = gan_jax("train", f"--workdir={played}", "--config.loss=hing", "--config.k=2", code=1)
  assert "unknown loss 'hing'" in told and "k: 1 there" not in told
  told = gan_jax("evaluate", f"--workdir={played}", "--config.loss=hinge", code=1)
  assert "config.loss would change the run itself" in told


def test_damaged_checkpoint_is_named_and_the_one_before_is_used(gan_jax, played):
  want = (played / "checkpoints/40/leaves/metadata").read_text()
  files = [p for p in (played / "checkpoints/40/state").rglob("*") if p.is_file()]
  largest = max(files, key=lambda p: p.stat().st_size)
  data = bytearray(largest.read_bytes())
  data[len(data) // 2] ^= 1
  largest.write_bytes(data)
  told = gan_jax("train", f"--workdir={played}")
  assert "checkpoints/40 is damaged" in told and "round 40/40" in told
  assert (played / "checkpoints/40/leaves/metadata").read_text() == want
  assert [row["round"] for row in rows(played)] == [20, 40]


def test_a_schedule_can_be_overridden_in_part_or_by_a_number(gan_jax, tmp_path):
  part = "--config.optimizers.discriminator.learning_rate.init_value=0.5"
  rate = "--config.optimizers.generator.learning_rate"
  falling = "{'schedule': 'cosine_decay_schedule', 'init_value': 1.0, 'decay_steps': 10}"
  weight = f"--config.regularizers.r1={falling}"  # here the config has a number
  gan_jax(*ring(tmp_path, 10), *SMALL_RING, part, f"{rate}=0.5", weight)
  made = json.loads((tmp_path / "config.json").read_text())["config"]["optimizers"]
  rates = {player: options["learning_rate"] for player, options in made.items()}
  falls = {"schedule": "cosine_decay_schedule", "init_value": 0.5, "decay_steps": 10_000}
  assert rates["discriminator"].items() >= falls.items() and rates["generator"] == 0.5
  assert rows(tmp_path)[-1]["discriminator/r1"] > 0
  assert "batch_size" in gan_jax(
    *ring(tmp_path / "word", 10), "--config.real_target={'batch_size': 1}", code=2
  )
  told = gan_jax(*ring(tmp_path / "word", 10), f"{rate}=fast", code=2)
  assert "learning_rate=fast: expected a number" in told and "'decay_steps': 9000" in told


def test_not_a_number_stops_the_run_and_keeps_the_checkpoint(gan_jax, tmp_path):
  bad = ["--config.loss=maximum_likelihood", "--config.optimizers.generator.learning_rate=1e6"]
  told = gan_jax(*ring(tmp_path, 2000), *SMALL_RING, *bad, code=1)
  assert "in round" in told and "training has stopped" in told and "Traceback" not in told


def test_what_is_odd_of_data_is_told_in_a_plain_line(gan_jax, tmp_path):
  for folder in ("real", "fake"):
    (tmp_path / folder / "cat").mkdir(parents=True)
    for i in range(3):
      Image.fromarray(np.full((8, 8, 3), 9 * i, np.uint8)).save(tmp_path / folder / f"cat/{i}.png")
  where = (f"--real={tmp_path / 'real'}", f"--fake={tmp_path / 'fake'}")
  told = gan_jax("score", *where, "--features=pixels")
  odd = "gan_jax: warning: {}: all images are in cat, and so of one class"
  assert {odd.format(tmp_path / folder) for folder in ("real", "fake")} <= {*told.splitlines()}
  (tmp_path / "mu.pkl").write_bytes(b"")
  told = gan_jax("score", "--real=mu.pkl", where[1], cwd=tmp_path, code=1)
  assert "mu.pkl is a pickle, which may run what is in it" in told


WRONG_FLAGS = [
  (["trian"], "unknown command 'trian'; expected one of: train, import, ablate, evaluate, score"),
  (["train", "--workdir=x"], "--config: expected a config file"),
  (["train", "--config=nope.py", "--workdir=x"], "--config: there is no file nope.py"),
  (["train", "--config=experiments/ring.py"], "--workdir: expected the folder"),
  (["train", "--config=experiments/ring.py", "--config.lss=hinge"], 'Did you mean "loss"'),
  (
    ["train", "--config=experiments/ring.py", "--config.lss=hinge"],
    "config has no key 'lss'; its keys: augmentation, average, ",
  ),
  (
    ["train", "--config=experiments/ring.py", "--config.regularizers.r3=1.0"],
    "config.regularizers has no key 'r3'; its keys: balanced_consistency, ",
  ),
  (["train", "--config=experiments/ring.py", "--config.k=two"], "invalid literal for int"),
  (["train", "--workdir=x", "--config.rounds=3"], "'config.rounds' without --config=FILE"),
  (["train", "--workdri=x"], "Unknown command line flag 'workdri'"),
  (["sample", "--trunc=0.7"], "Unknown command line flag 'trunc'. Here it is --truncation of"),
  (["train", "x"], "unexpected argument 'x'"),
  (["sample", "--workdir=nowhere"], "say where to write"),
  (["sample", "nowhere", "--mix=1", "--out=x.png"], "give --seeds=0-5 too"),
  (["sample", "nowhere", "--seeds=3-1", "--out=x.png"], "--seeds=3-1: expected numbers"),
  (["sample", "nowhere", "--seeds=0-99999999999", "--out=x.png"], "at most 10,000 numbers"),
  (["sample", "nowhere", "--seeds=1", "--layers=0", "--out=x.png"], "give --mix=100-105 too"),
  (["sample", "nowhere", "--seeds=1", "--num=9", "--out=x.png"], "leave out --num and --seed"),
  (["sample", "nowhere", "--seeds=1", f"--mix={1 << 65}", "--out=x.png"], "numbers below 2**28"),
  (["walk", "nowhere", "--out=x.gif", "--seconds=inf"], "--seconds=inf: expected a number"),
  (["directions", "nowhere", "--reach=nan"], "--reach=nan: expected a number that is finite"),
  (["project", "nowhere"], "project: expected --images"),
  (["walk", "nowhere"], "say where to write, --out=walk.gif"),
  (["walk", "nowhere", "--out=x.avi"], "--out=x.avi: expected a name in .gif or .mp4"),
  (["walk", "nowhere", "--out=x.gif", "--truncation=1,2", "--labels=1,2"], "several of one"),
  (["sample", "--workdir=nowhere", "--out=x.jpg"], "expected a name in .png"),
  (["evaluate", "--workdir=nowhere", "--follow", "--checkpoint=3"], "leave out --checkpoint"),
  (["sample", "nowhere", "--out=x"], "a PNG of each example is written by --out_dir=DIR"),
  (["sample", "nowhere", "--npz=x.png"], "expected a name in .npz"),
  (["sample", "nowhere", "--workdir=elsewhere", "--out=x.png"], "of one run, got 2"),
  (["train", "--workdir=x", "--num=3"], "--num is no flag of train, but of directions, project"),
  (["train", "--config=experiments", "--workdir=x"], "experiments is a folder; expected a Python"),
  (
    ["train", "--config=experiments/ring.py:x", "--workdir=x"],
    "takes no argument, and 'x' is given",
  ),
  (["compare", "nowhere"], "expected gan_jax compare A B, got 1 methods"),
  (["evaluate", "nowhere", "--metrics=fdi"], "--metrics=fdi: unknown metric 'fdi'"),
  (["evaluate", "nowhere", "--features=vgg"], "--features=vgg: unknown"),
  (["evaluate", "nowhere", "--real=validation"], "--real=validation: "),
  (
    ["evaluate", "nowhere", "--checkpoint=first"],
    "--checkpoint=first: expected last, best, or a round",
  ),
  (["evaluate", "nowhere", "--truncation=2,1"], "--truncation=2,1: evaluate takes one bound"),
  (
    ["sample", "nowhere", "--out=x.png", "--truncation=abc"],
    "--truncation=abc: expected numbers",
  ),
  (
    ["sample", "nowhere", "--out=x.png", "--truncation=nan"],
    "--truncation=nan: expected numbers",
  ),
  (["sample", "nowhere", "--out=x.png", "--truncation=1", "--interpolate"], "give one"),
  (["sample", "r0", "r1", "--out=x.png"], "of one run, got 2: r0, r1"),
  (["score", "--real=README.md/"], "expected --real and --fake"),
  (["score", "--real=validation", "--fake=x/"], "--real=validation: unknown data set"),
  (["score", "--real=x/", "--fake=y/,z"], "--fake=y/,z: unknown data set 'z'"),
  (
    ["score", "--real=x/", "--save_stats=x.npz", "--metrics=fid,kid"],
    "--metrics: --save_stats writes no statistics for kernel; expected --metrics=fid or fid,sfid",
  ),
  (["score", "--real=x/", "--fake=y/,z/,y/"], "--fake names y/ twice"),
  (["score", "--real=x/", "--fake=y/", "--channels=2"], "--channels=2: expected 1 or 3"),
  (["score", "--real=x/", "--fake=y/", "--metrics=fid kid"], "--metrics=fid kid: unknown metric"),
  (
    ["score", "--real=stats:", "--fake=y/"],
    "--real=stats:: 'stats:' names no file of statistics: expected stats:FILE.npz",
  ),
  (
    [
      *("train", "--config=experiments/ring_distillation.py", "--workdir=x"),
      *("--config.weights.adversarial=0", "--config.optimizers.discriminator.b1=0.5"),
    ],
    "--config.optimizers.discriminator.b1: nothing reads it, as --config.weights.adversarial is 0",
  ),
  (["compare"], "expected gan_jax compare A B, got 0 methods"),
  (["runs"], "expected gan_jax runs DIR, got 0"),
  (["runs", "nowhere", "--filter=done"], "--filter=done: expected KEY=VALUE"),
  (["report"], "expected gan_jax report RUN"),
  (["ablate"], "ablate: expected --config=FILE.py"),
]
NOT_THERE = [  # of which flags alone do not tell
  (["sample", "--workdir=nowhere", "--out=x.png"], "no run in nowhere"),
  (["evaluate", "--workdir=nowhere"], "no run in nowhere"),
  (["sample", "nowhere", "--out_dir=gan_jax"], "--out_dir=gan_jax has files already"),
  (["sample", "nowhere", "--out=README.md/x.png"], "README.md is a file, and no folder"),
  (
    ["train", "--config=experiments/ring.py", "--workdir=x", "--config.generator.hidden=('a',)"],
    "--config.generator.hidden is ('a',): expected entries such as",
  ),
  (
    ["train", "--config=experiments/ring.py", "--workdir=x", "--config.latent.dim=0"],
    "--config.latent: a latent has at least 1 dimension",
  ),
  (
    ["train", "--config=experiments/ring.py", "--workdir=x", "--config.average.name=half_life"],
    "--config.average.half_life is 0, which copies the generator",
  ),
  (
    ["train", "--config=experiments/ring.py", "--workdir=x", "--start_from=nowhere:generator"],
    "no run in nowhere: expected nowhere/config.json",
  ),
  (["compare", "nowhere", "experiments"], "there is no card nowhere"),
  (
    ["score", "--real=x/", "--fake=y/", "--card=/proc/x/card.json"],
    "--card=/proc/x/card.json cannot be written: nothing can be made in /proc",
  ),
  (
    ["train", "--config=experiments/ring.py", "--workdir=/proc/x"],
    "--workdir=/proc/x cannot be written: nothing can be made in /proc",
  ),
]


@pytest.mark.parametrize(
  ("code", "arguments", "message"),
  [*((2, *row) for row in WRONG_FLAGS), *((1, *row) for row in NOT_THERE)],
)
def test_mistake_is_one_plain_message(code, arguments, message):
  ended, told = commands.run(arguments, {}, ROOT)
  assert ended == code and message in told and "Traceback" not in told, told
  assert len(told.splitlines()) == (1 if code == 2 else 2)  # the second tells of --traceback
  assert not (ROOT / "x").exists()


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("def get_config(:", "bad.py, line 1: invalid syntax"),
    ("x = 1", "the file defines no get_config()"),
    ("import nope", "No module named 'nope'"),
    ("def get_config(): return {'a': 1}", "get_config() returned a dict; expected a config"),
  ],
)
def test_mistake_in_a_config_file_is_one_plain_message(gan_jax, tmp_path, text, message):
  (tmp_path / "bad.py").write_text(text)
  arguments = ["train", f"--config={tmp_path / 'bad.py'}", f"--workdir={tmp_path / 'run'}"]
  told = gan_jax(*arguments, code=2)
  assert message in told and "Traceback" not in told
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  "asked", [["--help"], ["train", "--help"], ["--version"], ["help", "sample"]]
)
def test_help_imports_nothing_heavy(asked):
  show = f"import sys; sys.argv[1:] = {asked}; from gan_jax.run.cli import app; app.main();"
  show += "print({'numpy', 'jax', 'flax', 'optax', 'orbax'} & set(sys.modules))"
  done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
  assert "gan_jax" in done.stdout and done.stdout.splitlines()[-1] == "set()"
  assert asked == ["--version"] or f"gan_jax {asked[-1].replace('--help', 'train')}" in done.stdout


def test_a_pipe_that_is_closed_ends_quietly(tmp_path):
  """A reader that takes a line, or none, is no mistake of the command."""
  for arguments in (["train", "--help"], ["runs", str(tmp_path)]):
    command = [sys.executable, "-m", "gan_jax.run.cli.app", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
      process.stdout.close()
      assert process.stderr.read() == b"" and process.wait(60) == 0


def test_importing_costs_little():
  code = (
    "import gan_jax.run.cli.app, gan_jax.run.results.folder, gan_jax.run.training.train, sys;"
    "print({'tensorflow', 'tensorflow_datasets', 'matplotlib'} & set(sys.modules))"
  )
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == "set()"


def test_ablate_plans_plays_goes_on_and_tells(gan_jax, tmp_path):
  config = f"--config={ROOT / 'experiments/ablations/ema.py'}"
  small = ["--config.base.rounds=4", "--config.base.num_fake=100", "--config.base.evaluate_every=2"]
  small += [f"--config.base.{player}.hidden=(16,)" for player in ("discriminator", "generator")]
  asked = [config, *small, "--config.base.batch_size=8"]
  planned = gan_jax("ablate", *asked, "--config.seeds=(0,1)", "--dry_run")
  assert "20 runs of 10 variants in 2 programs, 2 compilations" in planned
  assert "ms a round of the first program" in planned
  workdir = f"--workdir={tmp_path / 'ema'}"
  first = gan_jax("ablate", *asked, "--config.seeds=(0,)", workdir)
  assert "10/10 runs" in first and "too few seeds" in first
  more = gan_jax("ablate", *asked, "--config.seeds=(0,1)", workdir, "--score=modes")
  assert "20/20 runs" in more and "10/20" not in more
  assert "more modes is better; 2 seeds" in more and "0.999" in more
  assert {"matrix.png", "curves.png"} <= {path.name for path in (tmp_path / "ema").iterdir()}


def test_ablate_can_be_stopped_at_once(tmp_path):
  """Whatever its programs are busy with: there are 200,000 rounds in a dispatch."""
  config = f"--config={ROOT / 'experiments/ablations/ema.py'}"
  command = [sys.executable, "-m", "gan_jax.run.cli.app", "ablate", config, f"--workdir={tmp_path}"]
  command += ["--config.rounds=200000", "--config.base.evaluate_every=0"]
  options = {"cwd": ROOT, "stderr": subprocess.PIPE, "text": True}
  with subprocess.Popen(command, **options) as process:
    while not (tmp_path / "ablation.json").is_file():
      assert process.poll() is None
      time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(HANG) == 75
    assert "start it again to go on" in process.stderr.read()


@pytest.mark.parametrize(
  ("arguments", "said"),
  [
    (["--workdir=nowhere"], "there is no ablation.json in it"),
    ([f"--config={ROOT / 'experiments/ring.py'}", "--workdir=x"], "returned no ablation"),
  ],
)
def test_ablate_says_what_it_lacks(gan_jax, arguments, said):
  assert said in gan_jax("ablate", *arguments, code=1)


# --- runs that lie there --------------------------------------------------------------------------


def test_runs_are_listed_and_reported(gan_jax, tmp_path):
  made_run(tmp_path / "runs/good")
  made_run(tmp_path / "runs/bad", played=100, stopped="V was nan in round 101")
  told = gan_jax("runs", tmp_path / "runs", "--sort=-kl", "--filter=loss=non_saturating")
  assert [line.split()[:2] for line in told.splitlines()[1:3]] == [
    ["bad", "failed"],
    ["good", "done"],
  ]
  (tmp_path / "runs/jobs.txt").write_text("train --workdir=runs/good\ntrain --workdir=runs/new\n")
  out = tmp_path / "page.html"
  told = gan_jax("report", tmp_path / "runs", f"--out={out}")
  assert "1 jobs have not begun: new" in told and "<h1>good</h1>" in out.read_text()
  told = gan_jax("report", tmp_path / "runs/good", tmp_path / "runs/bad", f"--out={out}")
  assert told.startswith(f"wrote {out} (0.") and told.endswith(" MB)\n")
  assert "<h1>good, bad</h1>" in out.read_text()


def test_devices_that_are_not_there_are_told_in_a_line(tmp_path):
  environment = os.environ | {"JAX_PLATFORMS": "nonsense"}
  command = [sys.executable, "-m", "gan_jax.run.cli.app", *ring(tmp_path, 1)]
  done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
  said = "gan_jax: JAX_PLATFORMS=nonsense: JAX finds no such devices here; leave it out, or"
  assert done.returncode == 1 and done.stderr.startswith(said), done.stderr
