"""Short names are replaced where they come in, so that one thing has one name."""

import re

import pytest

from gan_jax.data.example import Example
from gan_jax.files import flat
from gan_jax.losses.adversarial import LOSSES
from gan_jax.run.ablation.plan import ablation, axis, members
from gan_jax.run.config import aliases, default_config
from gan_jax.run.config.config import canonical, complete
from gan_jax.run.config.sections.augmentation import augmentation
from gan_jax.run.config.sections.evaluation import evaluation_spec
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.config.sections.networks import DTYPES, network
from gan_jax.run.config.stored import config_values
from gan_jax.run.evaluation.evaluators.suite import METRICS, score_name


def test_every_alias_stands_for_something_and_hides_nothing():
  tables = ((aliases.LOSSES, LOSSES), (aliases.METRICS, METRICS), (aliases.DTYPES, DTYPES))
  for short, names in tables:
    assert set(short.values()) <= set(names) and not set(short) & set(names)


def test_a_config_with_short_names_is_the_config_with_ours():
  short, ours = default_config(), default_config()
  short.loss, short.evaluation.metrics, short.generator.dtype = "LSGAN", ("fid", "kid"), "bf16"
  ours.loss, ours.evaluation.metrics = "least_squares", ("frechet", "kernel")
  ours.generator.dtype = "bfloat16"
  assert config_values(short) == config_values(ours)
  assert canonical(short).loss == "least_squares" and canonical(ours) is ours
  assert list(evaluation_spec("pixels", ("FID", "PRDC"), "train").metrics) == ["frechet", "prdc"]
  short.evaluation.metrics = ("fid,kid",)  # as --config.evaluation.metrics=fid,kid is read
  assert config_values(short) == config_values(ours)
  assert build_game(complete(short), Example((2,), None, None))


def test_variants_of_an_ablation_are_known_by_our_names():
  base = default_config()
  keys = [
    [m.key for m in members(ablation(base, [axis("loss", names)], baseline={"loss": names[0]}))]
    for names in (("non_saturating", "wasserstein"), ("nsgan", "wgan"))
  ]
  assert keys[0] == keys[1]


def test_options_of_published_code_are_keys_here_and_hide_none():
  """Keys of the default config, of StyleGAN2's generator and of ADA; names are no keys."""
  config = default_config()
  config.generator = network("stylegan2_generator")
  config.augmentation = augmentation("ada")
  known = flat(config.to_dict())
  named = {
    key for text in aliases.PUBLISHED.values() for key in re.findall(r"config\.([\w.]+)", text)
  }
  players = {key.replace("PLAYER", "generator") for key in named}
  assert len(players) > 20 and players <= set(known)
  assert not set(aliases.PUBLISHED) & set(config)
  assert aliases.published("style-mixing-prob") == ". Here it is --config.generator.mixing"


@pytest.mark.parametrize(
  ("name", "kind", "told"),
  [
    ("hinj", "loss", 'Did you mean "hinge"?'),
    ("lsgn", "loss", 'Did you mean "lsgan"'),
    ("fdi", "metric", 'Did you mean "fid"?'),
    ("wgan-gp", "loss", "--config.regularizers.gradient_penalty=10"),
    ("lpips", "metric", "--metrics=diversity --features=vgg16"),
    ("recall", "metric", "--metrics=prdc"),
    ("fid kid", "metric", "with commas between, as in fid,kid, they are 2 names"),
  ],
)
def test_an_unknown_name_comes_with_what_may_have_been_meant(name, kind, told):
  table = {"loss": LOSSES, "metric": METRICS}[kind]
  said = aliases.unknown(name, table, kind)
  assert told in said and f"unknown {kind} {name!r}; expected one of: " in said


def test_scores_have_the_short_names_of_their_metrics():
  assert score_name("fid") == "frechet_distance" and score_name("modes") == "modes"
