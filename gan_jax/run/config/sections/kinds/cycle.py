"""CycleGAN: every choice in it, by name."""

from ml_collections import ConfigDict

from gan_jax.data.example import Example
from gan_jax.game.core import Game, Turn
from gan_jax.game.kinds.cycle import CLASSIFIER, OWNS, TRANSLATORS, cycle_gan
from gan_jax.game.rules import microbatches
from gan_jax.run.config.sections import networks, optimizers, terms
from gan_jax.run.config.sections.key import Key, Keys, at_least, weights
from gan_jax.run.config.sections.kinds.two_player import adversarial_loss

WEIGHTS = {
  "adversarial": (2.0, "of the translators' adversarial loss; with least_squares 2 is published"),
  "cycle": (10.0, "of the difference to what is translated there and back"),
  "identity": (5.0, "of the difference to a translation into the image's own kind; 0: off"),
  "semantic": (0.0, "of the classes read in translations, as in CyCADA; 0: no classifier"),
}


def keys() -> Keys:
  """Lists the keys of the game."""
  return {
    "conditional": Key(False, "whether labels come along, which the weight semantic needs"),
    "translator": networks.section("resnet_translator"),
    "discriminator": networks.section("patch_discriminator"),
    "classifier": networks.section("dcgan_encoder", width=16, norm="none"),
    "classified": Key("both", "kinds whose labels the classifier learns: both, or a alone"),
    "loss": Key("least_squares", "adversarial loss of both pairs, such as hinge, wgan, lsgan"),
    "weights": weights(
      {name: value for name, (value, _) in WEIGHTS.items()},
      {name: f"weight {meaning}" for name, (_, meaning) in WEIGHTS.items()},
    ),
    "pool": Key(50, "fakes of each kind that are kept to be shown again; 0 for none", at_least(0)),
    **terms.keys(),
    "optimizers": {player: optimizers.section("adam") for player in (*OWNS, CLASSIFIER)},
    "average": optimizers.average("none"),
  }


def check(config: ConfigDict) -> None:
  """Refuses choices that contradict each other."""
  optimizers.check_average(config.average)
  if config.conditional != bool(config.weights.semantic):
    raise ValueError(
      f"config.conditional is {config.conditional} and config.weights.semantic "
      f"{config.weights.semantic}: expected both, for labels that a classifier learns, or neither"
    )
  if config.classified not in ("both", "a"):
    raise ValueError(f"config.classified is {config.classified!r}: expected 'both' or 'a'")
  if config.condition.name != "labels" or config.condition.fakes != "batch":
    raise ValueError("config.condition is of generated examples, and translators take no labels")
  if config.pool and config.microbatches > 1:
    raise ValueError(
      f"config.pool = {config.pool} exchanges the fakes of a batch one after the other, and "
      f"config.microbatches = {config.microbatches} takes them apart: set one of them"
    )


def labelled(config: ConfigDict) -> tuple[str, ...]:
  """Names the kinds beside a whose labels the classifier learns; see `games.Kind`."""
  return ("b",) if config.conditional and config.classified == "both" else ()


def idle(config: ConfigDict) -> dict[str, str]:
  """Lists the keys of a classifier that there is not; see `games.Kind`."""
  if config.conditional:
    return {}
  why = "config.weights.semantic is 0, and there is no classifier"
  return dict.fromkeys((CLASSIFIER, "classified", f"optimizers.{CLASSIFIER}"), why)


def build_game(config: ConfigDict, example: Example) -> Game:
  """Builds the game of a complete config; see `games.Kind`."""
  networks.check_output(config.translator, example.pixel_range)
  # The weight itself may be traced; `check` has seen to it that there are labels where it is one.
  players: tuple[str, ...] = tuple(OWNS)
  of_classes = {}
  if config.conditional:
    if example.num_classes is None:
      raise ValueError(f"{config.data!r}: the first kind has no labels for the weight semantic")
    players = (*OWNS, CLASSIFIER)
    of_classes = {CLASSIFIER: {"features": example.num_classes, "num_classes": None}}
  channels = {"channels": example.shape[-1]}
  nets = networks.build_networks(
    config, {"translator": channels, "discriminator": {}, **of_classes}
  )
  return cycle_gan(
    dict.fromkeys(TRANSLATORS, nets["translator"]),
    dict.fromkeys("ab", nets["discriminator"]),
    loss=adversarial_loss(config),
    optimizers=optimizers.build_optimizers(config, dict.fromkeys(players, 1)),
    shape=example.shape,
    classifier=nets.get(CLASSIFIER),
    classified=("a", *labelled(config)),
    pool=config.pool,
    regularizers=terms.build(config, "regularizers", example),
    turns=microbatches((Turn(players),), config.microbatches),
    averages=optimizers.build_averages(config.average, *TRANSLATORS),
    remat=config.remat,
    **optimizers.build_weights(config),
  )
