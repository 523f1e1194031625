"""Adversarial flows, AFM and CAFM: every choice in them, by name."""

from typing import Any

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game
from gan_jax.game.kinds.flow import adversarial, continuous
from gan_jax.game.optimizers import delayed
from gan_jax.losses.one_step import courses, flows
from gan_jax.run.config.sections import networks, optimizers
from gan_jax.run.config.sections.key import Key, Keys, at_least, naming, one_of, weights
from gan_jax.run.config.sections.kinds import two_player

NETS = {"generator": "flow_mlp_generator", "discriminator": "flow_mlp_discriminator"}
PUBLISHED = {"r1_approximate": 0.25, "r2_approximate": 0.25, "centering": 0.01}
OPTIONS = {"convention": "afm", "share": 0.25}  # of both penalties
OF_SLOPES = ("r1", "r2", "r1_approximate", "r2_approximate", "gradient_penalty", "dragan")
NORMALISERS = {
  "published": flows.normalise_gradient,
  "corrected": flows.normalise_gradient_corrected,
  "none": lambda: None,
}
TIMES = {"uniform": courses.uniform_times, "logit_normal": courses.logit_normal_times}
TRANSPORT = "weight of {}, for the generator; a number or a schedule"


def adversarial_keys() -> Keys:
  """Lists the keys of AFM."""
  shared = two_player.keys_of_players()
  usual = shared["regularizers"]
  options = {
    name: {
      key: each._replace(default=OPTIONS[key]) if name in PUBLISHED and key in OPTIONS else each
      for key, each in of.items()
    }
    for name, of in shared["regularizer_options"].items()
  }
  return {
    **shared,
    **_networks(),
    "loss": Key("relativistic", "adversarial loss, such as relativistic, hinge, non_saturating"),
    "regularizers": weights({**usual.default, **PUBLISHED}, usual.meanings),
    "regularizer_options": options,
    "times": Key(
      "equal", "equal: `steps` equal steps; any: steps of any length", one_of("equal", "any")
    ),
    "steps": Key(1, "of equal times: number of steps from noise to data", at_least(1)),
    "velocity": Key(False, "whether the generator returns a velocity, and not the step's end"),
    "sampled": Key((1,), "of any times: steps of each sampler, steps_1 and so on", _positive),
    "gradient_normalisation": Key(
      "published",
      "of the adversarial gradient at fakes: published, corrected (for its start at 0), none",
      one_of(*NORMALISERS),
    ),
    "weights": weights(
      adversarial.WEIGHTS, {"transport": TRANSPORT.format("squared ways over widths of steps")}
    ),
  }


def continuous_keys() -> Keys:
  """Lists the keys of CAFM."""
  shared = two_player.keys_of_players()
  of_terms = ("regularizers", "regularizer_options", "jitter")
  meanings = {
    "centering": "weight of the squared logit, for the discriminator",
    "transport": TRANSPORT.format("the squared velocity"),
  }
  return {
    **{name: key for name, key in shared.items() if name not in of_terms},
    **_networks(),
    "k": shared["k"]._replace(default=16),
    "warm_up": Key(0, "rounds in which the discriminator moves alone", at_least(0)),
    "times": Key("uniform", "times that are learned: uniform, logit_normal", one_of(*TIMES)),
    "sampled": Key((64,), "calls of the generator of each sampler, steps_64 and so on", _positive),
    "heun": Key(False, "whether samples are made by Heun's method, two calls a step"),
    "weights": weights(continuous.WEIGHTS, meanings),
  }


def _positive(key: str, value: tuple[int, ...]) -> None:
  """Refuses numbers of steps that are none, and none of them."""
  if not value or min(value) < 1:
    raise ValueError(f"{key} = {value}: expected one number or more, each at least 1")


def _networks() -> Keys:
  """Lists the keys of networks and of their optimizers."""
  usual = optimizers.section("adamw")
  published = lambda: optimizers.optimizer("adamw", 1e-4, b1=0.0, b2=0.9, weight_decay=0.01)
  return {
    **{player: networks.section(name) for player, name in NETS.items()},
    "optimizers": {player: usual._replace(default=published()) for player in NETS},
  }


def idle(config: ConfigDict) -> dict[str, str]:
  """Lists the key that is of AFM's other times; see `games.Kind`."""
  unread = {"equal": "sampled", "any": "steps"}[config.times]
  return {unread: f"config.times is {config.times!r}"}


def build_adversarial(config: ConfigDict, example: Example) -> Game:
  """Builds the game of AFM; see `games.Kind`."""
  given = two_player.players(config, example)
  given["regularizers"] = {
    name: (weight, flows.by_width(term) if name in OF_SLOPES else term)
    for name, (weight, term) in given["regularizers"].items()
  }
  # Equal steps are sampled as they are learned: of others the network knows nothing.
  by_steps = {
    "equal": (courses.equal_steps(config.steps), (config.steps,)),
    "any": (courses.any_steps, config.sampled),
  }
  steps, sampled = by_steps[config.times]
  with naming("config.loss, config.gradient_normalisation"):
    return adversarial.adversarial_flow(
      **_shared(config, example),
      loss=two_player.adversarial_loss(config),
      steps=steps,
      velocity=config.velocity,
      sampled=sampled,
      normaliser=NORMALISERS[config.gradient_normalisation](),
      **given,
    )


def build_continuous(config: ConfigDict, example: Example) -> Game:
  """Builds the game of CAFM; see `games.Kind`."""
  built = optimizers.build_optimizers(config, {"discriminator": config.k, "generator": 1})
  if config.warm_up:
    built["generator"] = delayed(built["generator"], config.warm_up)
  with naming("config.sampled"):
    return continuous.continuous_flow(
      **_shared(config, example),
      optimizers=built,
      times=TIMES[config.times],
      heun=config.heun,
      sampled=config.sampled,
      turns=two_player.turns(config),
      remat=config.remat,
    )


def _shared(config: ConfigDict, example: Example) -> dict[str, Any]:
  """Builds the arguments that both kinds have in common."""
  shape = {"shape": example.shape}
  return {
    **networks.build_networks(config, {"generator": shape, "discriminator": {}}),
    **shape,
    "weights": optimizers.build_weights(config),
    "averages": optimizers.build_averages(config.average, "generator"),
  }
