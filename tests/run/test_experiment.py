"""Names become objects: every option reaches what it names, every mistake is told plainly."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import losses
from gan_jax.data.example import Example
from gan_jax.game.core import Clock, minibatches
from gan_jax.game.play import init, play_round
from gan_jax.losses import regularizers
from gan_jax.run.config import (
  OPTIMIZERS,
  SCHEDULES,
  complete,
  default_config,
  network,
  optimizer,
  schedule,
)
from gan_jax.run.config.sections.kinds.games import build_game
from gan_jax.run.config.sections.optimizers import build_optimizer
from gan_jax.run.experiment import build

POINTS = Example((2,), None, None)


def tiny(**changes):
  """The config of a ring game that compiles in about a second."""
  config = default_config()
  config.data = "ring8"
  config.generator = network("mlp_generator", hidden=(8,))
  config.discriminator = network("mlp_discriminator", hidden=(8,))
  config.latent.dim = 2
  config.batch_size = 16
  config.update_from_flattened_dict(changes)
  return config


@functools.cache
def drawn(m):
  """The first m minibatches, drawn once: each program would have to be compiled with the draw."""
  batches = build(tiny()).batches
  return jax.jit(jax.vmap(lambda t: batches.at(batches.arrays, t)))(jnp.arange(m, dtype=jnp.uint32))


def rounds(config, n, start=None):
  """Plays n rounds in one compiled program; returns the state and all metrics."""
  game = build(config).game
  batch = drawn(minibatches(game))

  # Most of the time here goes to the compiler, and there is little to gain from its pains.
  @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
  def play(state):
    return jax.lax.scan(lambda state, _: play_round(game, state, batch), state, length=n)

  return play(init(game, jax.random.key(0), batch) if start is None else start)


# --- losses, penalties and orders of turns, from a config -----------------------------------------

PENALTIES = ("none", "r1", "gradient_penalty")
TURNS = {"k1": {"k": 1}, "k5": {"k": 5}, "simultaneous": {"simultaneous": True}}


@functools.cache
def start():
  """The state before the first round, which no loss, penalty or order of turns has a part in."""
  return init(build(tiny()).game, jax.random.key(0), POINTS.batch(1, 16))


# Two that couple no examples and two that do; others meet the orders in turn, as they differ from
# one of these in two functions of logits alone.
EVERY_ORDER = ("non_saturating", "wasserstein", "relativistic", "relativistic_average")
IN_TURN = [name for name in losses.LOSSES if name not in EVERY_ORDER]
MEETINGS = [
  *itertools.product(EVERY_ORDER, TURNS),
  *zip(IN_TURN, itertools.cycle(TURNS), strict=False),
]


@pytest.mark.parametrize(("loss", "turns"), MEETINGS)
def test_twenty_rounds_are_finite(loss, turns):
  """Losses meet every order and every penalty, and every order every penalty."""
  places = list(losses.LOSSES).index(loss), list(TURNS).index(turns)
  penalty = PENALTIES[sum(places) % len(PENALTIES)]
  config = tiny(loss=loss, **TURNS[turns])
  if penalty != "none":
    config.regularizers[penalty] = 1.0
  state, metrics = rounds(config, 20, start=start())
  assert state.round == 20
  for name, values in metrics.items():
    assert np.isfinite(values).all(), name
  assert ("discriminator/r1" in metrics) == (penalty == "r1")
  assert ("discriminator/gradient_penalty" in metrics) == (penalty == "gradient_penalty")


def test_every_regularizer_can_be_named():
  """All in one game, whose loss is the adversarial one and as much of each as its own weight."""
  config = tiny()
  weights = {name: 0.5 + i for i, name in enumerate(sorted(regularizers.REGULARIZERS))}
  config.regularizers.update(weights)
  _, metrics = rounds(config, 3)
  terms = {name: np.asarray(metrics[f"discriminator/{name}"]) for name in weights}
  assert all(np.isfinite(values).all() for values in terms.values())
  np.testing.assert_allclose(
    metrics["discriminator/loss"],
    metrics["discriminator/adversarial"] + sum(weights[name] * terms[name] for name in weights),
    rtol=1e-5,
  )


# --- options reach what they name -----------------------------------------------------------------


def test_lazy_regularizer_acts_every_k_rounds():
  config = tiny()
  config.regularizers.r1 = 1.0
  config.regularizer_options.r1.every = 4
  _, metrics = rounds(config, 8)
  added = metrics["discriminator/loss"] - metrics["discriminator/adversarial"]
  assert (np.abs(added) > 1e-6).tolist() == [True, False, False, False] * 2
  r1 = np.asarray(metrics["discriminator/r1"])  # logged as it was when it was applied
  np.testing.assert_allclose(added[::4], 4 * r1[::4], rtol=1e-3)
  assert (r1.reshape(2, 4) == r1[::4, None]).all() and (r1 > 0).all()


def test_regularizer_options_reach_it():
  values = []
  for target in (0.0, 1.0):
    config = tiny()
    config.regularizers.gradient_penalty = 1.0
    config.regularizer_options.gradient_penalty.target = target
    values.append(float(rounds(config, 1)[1]["discriminator/gradient_penalty"][0]))
  assert values[0] != values[1]


@pytest.mark.parametrize("unit", ["rounds", "images"])
def test_weight_can_be_a_schedule(unit):
  config = tiny()
  steps = 4 if unit == "rounds" else 4 * config.batch_size
  config.regularizers.r1 = schedule(
    "linear_schedule", init_value=0.0, end_value=4.0, transition_steps=steps, unit=unit
  )
  _, m = rounds(config, 3)
  extra = m["discriminator/loss"] - m["discriminator/adversarial"]
  np.testing.assert_allclose(extra, np.arange(3) * np.asarray(m["discriminator/r1"]), atol=1e-6)


def test_label_smoothing_reaches_the_loss():
  plain, smooth = (rounds(tiny(real_target=r), 1)[1] for r in (1.0, 0.9))
  a, b = plain["discriminator/adversarial"], smooth["discriminator/adversarial"]
  assert float(a[0]) != float(b[0])
  np.testing.assert_allclose(plain["V"], smooth["V"], rtol=1e-6)  # the same first look


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_can_be_named(name):
  transformation = build_optimizer(optimizer(name, learning_rate=0.1), 1)
  params = {"w": jnp.ones(3)}
  updates, _ = transformation.update({"w": jnp.ones(3)}, transformation.init(params), params)
  assert float(jnp.abs(updates["w"]).max()) > 0


SCHEDULE_OPTIONS = {
  "cosine_decay_schedule": {"init_value": 1.0, "decay_steps": 10},
  "exponential_decay": {"init_value": 1.0, "transition_steps": 1, "decay_rate": 0.5},
  "inverse_square_root": {"peak_value": 1.0, "decay_begin": 0.5},
  "linear_schedule": {"init_value": 1.0, "end_value": 0.0, "transition_steps": 10},
  "polynomial_schedule": {
    "init_value": 1.0,
    "end_value": 0.0,
    "power": 1,
    "transition_steps": 10,
  },
  "cosine_schedule": {"init_value": 1.0, "end_value": 0.5, "transition_steps": 10},
  "warmup_cosine_decay_schedule": {
    "init_value": 1.0,
    "peak_value": 0.5,
    "warmup_steps": 2,
    "decay_steps": 10,
  },
}


@pytest.mark.parametrize(
  ("game", "latent", "told"),
  [("two_player", "uniform", "are uniform"), ("info_gan", "", "are read by config.encoder")],
)
def test_styles_are_mixed_of_normal_latents_alone(game, latent, told):
  """The generator draws the other latents itself; what Q reads would be of one of the two."""
  config = default_config(game)
  config.generator = network("stylegan2_generator")
  if latent:
    config.latent.name = latent
  with pytest.raises(ValueError, match=f"{told}: set config.generator.mixing=0"):
    complete(config)
  config.generator.mixing = 0.0
  complete(config)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("unit", ["rounds", "images"])
def test_schedules_count_rounds_or_images_not_moves(name, unit):
  """With two moves a round, the rate changes after every second update."""
  given = {} if unit == "rounds" else {"unit": "images"}
  rate = schedule(name, **SCHEDULE_OPTIONS[name], **given)
  clocks = {"rounds": lambda t: Clock(t, 64 * t), "images": lambda t: Clock(9 * t, t)}
  transformation = build_optimizer(optimizer("sgd", learning_rate=rate), 2)
  params = {"w": jnp.zeros(())}
  state, steps = transformation.init(params), []
  for move in range(4):
    updates, state = transformation.update(
      {"w": jnp.ones(())}, state, params, clock=clocks[unit](move // 2)
    )
    steps.append(-float(updates["w"]))
  expected = [float(SCHEDULES[name](**SCHEDULE_OPTIONS[name])(t)) for t in (0, 0, 1, 1)]
  np.testing.assert_allclose(steps, expected, rtol=1e-6)


def test_momentum_can_be_scheduled_beside_a_flag_that_is_not_a_number():
  momentum = schedule("linear_schedule", init_value=0.0, end_value=1.0, transition_steps=2)
  config = optimizer("sgd", learning_rate=1.0, momentum=momentum, nesterov=False)
  transformation, params = build_optimizer(config, 1), {"w": jnp.zeros(())}
  state, steps = transformation.init(params), []
  for round in range(3):
    updates, state = transformation.update({"w": jnp.ones(())}, state, params, clock=Clock(round))
    steps.append(-float(updates["w"]))
  np.testing.assert_allclose(steps, [1.0, 1.5, 2.5])  # 1; 1 + .5 * 1; 1 + 1 * 1.5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_an_optimizer_does_not_depend_on_what_is_scheduled(name):
  """A run may go on with a schedule in the place of a number; a constant one is the number."""
  gradient = {"w": jnp.linspace(-1.0, 1.0, 5)}
  constant = schedule("linear_schedule", init_value=0.1, end_value=0.1, transition_steps=9)
  states, updates = [], []
  for rate in (0.1, constant):
    transformation = build_optimizer(
      optimizer(name, learning_rate=rate, clip_norm=9.0, lookahead=5), 1
    )
    state = transformation.init(gradient)
    for round in range(2):
      moved, state = optax.with_extra_args_support(transformation).update(
        gradient, state, gradient, clock=Clock(round)
      )
    states.append(state)
    updates.append(moved["w"])
  assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])
  np.testing.assert_allclose(*updates, rtol=1e-6)  # a rate in float32, and one of Python


def test_gradients_and_weights_are_clipped():
  params, gradient = {"w": jnp.zeros(2)}, {"w": jnp.array([3.0, 4.0])}
  clipped = build_optimizer(optimizer("sgd", learning_rate=1.0, clip_norm=1.0), 1)
  updates, _ = clipped.update(gradient, clipped.init(params), params)
  np.testing.assert_allclose(updates["w"], [-0.6, -0.8], rtol=1e-6)
  bounded = build_optimizer(optimizer("sgd", learning_rate=1.0, clip_weights=0.5), 1)
  updates, _ = bounded.update(gradient, bounded.init(params), params)
  np.testing.assert_allclose(updates["w"], [-0.5, -0.5])


@pytest.mark.parametrize(
  "rate", [1.0, schedule("linear_schedule", init_value=2.0, end_value=1.0, transition_steps=4)]
)
def test_weights_stay_bounded_where_lookahead_goes_back(rate):
  made = build_optimizer(
    optimizer("sgd", rate, clip_weights=0.1, lookahead=2, lookahead_share=1.0), 1
  )
  made = optax.with_extra_args_support(made)
  rng = np.random.default_rng(0)
  params = jnp.asarray(rng.uniform(-0.1, 0.1, 10_000), jnp.float32)
  state = made.init(params)
  for round in range(4):
    gradients = jnp.asarray(rng.normal(size=10_000), jnp.float32)
    updates, state = made.update(gradients, state, params, clock=Clock(round))
    params = optax.apply_updates(params, updates)
    assert np.abs(np.asarray(params, np.float64)).max() <= 0.1


@pytest.mark.parametrize("name", ["none", "decay", "ramped_decay", "half_life", "power_function"])
def test_average_can_be_chosen(name):
  game = build(tiny(**{"average.name": name, "average.half_life": 100.0})).game
  state = jax.eval_shape(lambda: init(game, jax.random.key(0), POINTS.batch(1, 16)))
  assert set(state.ema) == (set() if name == "none" else {"generator"})


def test_a_half_life_may_be_a_schedule():
  """From 0, a copy, to 100 images, which is kept."""
  rising = schedule("cosine_schedule", init_value=0.0, end_value=100.0, transition_steps=2)
  config = complete(tiny(**{"average.name": "half_life", "average.half_life": rising}))
  rate = build_game(config, POINTS).averages["generator"].rate
  assert [float(rate(Clock(round), 50)) for round in (0, 1, 2, 3)] == pytest.approx(
    [0, 0.5, 0.5**0.5, 0.5**0.5]
  )
  with pytest.raises(ValueError, match="config.average.half_life is 'long': expected a number"):
    complete(tiny(**{"average.name": "half_life", "average.half_life": "long"}))


@pytest.mark.parametrize("name", ["normal", "uniform", "truncated"])
def test_latent_can_be_chosen(name):
  game = build_game(complete(tiny(**{"latent.name": name, "latent.dim": 5})), POINTS)
  z = game.sampler().inputs(jax.random.key(0), 100)
  assert z.shape == (100, 5)
  assert (float(jnp.abs(z).max()) <= 1) == (name == "uniform")


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"loss": "hing"}, "unknown loss 'hing'; expected one of: .*hinge"),
    ({"data": "mnist11k"}, "mnist10k"),
    ({"rounds": 0}, "config.rounds = 0: expected at least 1"),
    ({"on_nan": "skip"}, "config.on_nan is 'skip': expected 'stop' or 'rollback'"),
    ({"keep_every": -1}, "config.keep_every = -1: expected a number of rounds, at least 0"),
    ({"k": 0}, "config.k = 0"),
    ({"k": 2, "simultaneous": True}, "contradict"),
    ({"log_every": -1}, "config.log_every = -1"),
    ({"packing": 3}, "packing = 3 does not divide"),
    ({"real_target": 0.9, "loss": "wasserstein"}, "wasserstein|smooth"),
    ({"real_target": 1.5}, "real_target|target"),
    ({"latent.name": "gauss"}, "unknown latent 'gauss'; expected one of: normal"),
    ({"average.name": "x"}, "unknown average"),
    ({"average.decay": 1.0}, "decay lies in"),
    ({"data_options.placement": "gpu"}, "unknown placement 'gpu'; expected one of: auto"),
    ({"generator.dtype": "float99"}, "unknown dtype 'float99'; expected one of: bfloat16"),
    ({"latent.dim": 0}, "at least 1 dimension"),
    ({"generator.output": "sigmoid", "data": "mnist10k"}, "output 'sigmoid' makes pixels in"),
    ({"num_fake": 1}, "config.num_fake = 1: expected at least 2"),
    ({"generator.name": "x"}, "unknown network 'x'; expected one of: .*dcgan_generator"),
    (
      {"generator.name": "dcgan_generator"},
      "unknown options of network 'dcgan_generator': .*hidden",
    ),
    ({"optimizers.generator.name": "sdg"}, "unknown optimizer 'sdg'; expected one of: .*sgd"),
    ({"regularizer_options.r1.every": 0, "regularizers.r1": 1.0}, "k >= 1"),
  ],
)
def test_mistake_is_named_with_what_is_valid(changes, message):
  with pytest.raises(ValueError, match=message):
    build(tiny(**changes))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"generator": {"hidden": (8,)}}, "a network of the config has no name; it has: hidden"),
    ({"latent": {"name": "normal", "width": 3}}, "unknown keys of config.latent: width"),
    ({"regularizers": {"r1": "much"}}, "config.regularizers.r1 is 'much': expected a number"),
    ({"regularizers": {"r1": -1.0}}, "config.regularizers.r1 is -1.0: expected a number >= 0"),
    (
      {"regularizers": {"r1": {"schedule": "linear_schedule", "init_value": 1.0, "end_value": -1}}},
      "config.regularizers.r1 is .*: expected a number >= 0",
    ),
    ({"generator_regularizers": {"orthogonal": np.nan}}, "orthogonal is nan: expected a number"),
    ({"instance_noise": {"std": np.inf}}, "instance_noise.std is inf: expected a number"),
    (
      {"optimizers": {"generator": {"name": "adam", "learning_rate": -1e-3}}},
      "generator: learning_rate of the optimizer 'adam' is -0.001: expected a number >= 0",
    ),
    (
      {"optimizers": {"generator": {"name": "sgd", "momentum": np.nan}}},
      "momentum of the optimizer 'sgd' is nan: expected a number, or",
    ),
    ({"optimizers": {"generator": {"name": "adam", "b1": "x"}}}, "b1 of the optimizer 'adam'"),
    (
      {"optimizers": {"generator": {"name": "adam", "b2": 1.0}}},
      "b2 of the optimizer 'adam' is 1.0: expected a number below 1",
    ),
    (
      {"optimizers": {"generator": {"name": "adabelief", "b1": 0.0}}},
      "b1 of the optimizer 'adabelief' is 0.*: expected b1 above 0",
    ),
    (
      {"optimizers": {"generator": {"name": "adam", "learning_rate": {"schedule": "no"}}}},
      "unknown schedule 'no'.*'decay_steps': 9000",
    ),
    (
      {"regularizers": {"r1": {"schedule": "linear_schedule", "unit": "steps"}}},
      "config.regularizers.r1: unknown unit 'steps'; expected one of: images, rounds",
    ),
    (
      {
        "optimizers": {
          "generator": {"name": "sgd", "learning_rate": {"schedule": "polynomial_schedule"}}
        }
      },
      "config.optimizers.generator: polynomial_schedule.*init_value.*'decay_steps': 9000",
    ),
    (
      {"optimizers": {"generator": {"name": "sgd", "clip_norm": {"schedule": "linear_schedule"}}}},
      "clip_norm of the optimizer 'sgd' is .*: expected a number >= 0$",
    ),
  ],
)
def test_mistake_in_a_section_given_anew_is_named(changes, message):
  config = tiny()
  for key, value in changes.items():
    if key == "optimizers":
      config.optimizers.generator = value["generator"]
    else:
      config[key] = value
  with pytest.raises(ValueError, match=message):
    build(config)


def test_section_given_anew_keeps_the_defaults_of_what_it_leaves_out():
  config = tiny()
  config.latent = {"name": "uniform", "dim": 2}
  config.generator = {"name": "mlp_generator", "hidden": (8,)}
  config.optimizers.generator = {"name": "sgd"}
  config.regularizers = {"r1": 1.0}
  state, metrics = rounds(config, 1)
  assert state.params["generator"]["Dense_0"]["kernel"].shape == (2, 8)
  assert "discriminator/r1" in metrics


def test_one_section_in_two_places_is_refused():
  config = tiny()
  config.optimizers.discriminator = config.optimizers.generator = optimizer("adam")
  with pytest.raises(ValueError, match="optimizers.discriminator and config.optimizers.generator"):
    build(config)


def test_conditional_game_without_labels_is_refused(tmp_path):
  np.savez(tmp_path / "x.npz", x=np.zeros((20, 28, 28, 1), np.uint8))
  with pytest.raises(ValueError, match="no labels"):
    build(tiny(data=f"npz:{tmp_path / 'x.npz'}", conditional=True))


def test_game_is_built_without_data():
  game = build_game(complete(tiny(data="folder:nowhere")), POINTS)
  state = init(game, jax.random.key(0), POINTS.batch(1, 16))
  step = jax.jit(functools.partial(play_round, game))
  assert step(state, {"x": jnp.zeros((1, 16, 2))})[0].round == 1
  assert isinstance(game.players["generator"].optimizer, optax.GradientTransformation)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"features": "vgg"}, "unknown evaluation.features 'vgg'; expected one of: auto, classifier, "),
    ({"metrics": ("fad",)}, "unknown metric 'fad'; expected one of: accuracy_score, "),
    ({"metrics": ("frechet", "frechet")}, "expected one or more, each once"),
    ({"metrics": ()}, "expected one or more, each once"),
    (
      {"metrics": ("class_frechet",)},
      "this run is unconditional: leave it out of .*, or train a run with --config.conditional=Tr",
    ),
    ({"real": "validation"}, "expected 'train', 'test' or 'auto'"),
    ({"metrics": ("diversity",)}, "begins with 'diversity', of which neither more nor less"),
    ({"features": "pixels:weights.npz"}, "'pixels' are read from no file"),
  ],
)
def test_a_wrong_evaluation_is_refused_before_anything_is_computed(change, message):
  config = default_config()
  config.generator = network("mlp_generator", hidden=(8,), output="tanh")
  config.evaluation.update(change)
  config.evaluate_every = 100
  with pytest.raises(ValueError, match=message):
    build(config)


def test_an_evaluation_reaches_the_evaluator(tmp_path, monkeypatch):
  monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path))
  config = default_config()
  config.generator = network("mlp_generator", hidden=(8,), output="tanh")
  config.evaluation.update(
    {"features": "pixels", "metrics": ("sliced_wasserstein",), "real": "train"}
  )
  card = build(config).evaluator().card
  assert card["backbone"]["name"] == "pixels" and list(card["metrics"]) == ["sliced_wasserstein"]
  assert card["real"]["split"] == "train" and card["real"]["count"] == 10_000
  config.evaluation.metrics = ("ms_ssim",)  # neither more nor less is better, and nothing is chosen
  evaluator = build(config).evaluator()
  assert evaluator.headline == () and not evaluator.improves({"ms_ssim": 0.5}, None)


def test_a_share_is_held_out_of_data_without_a_test_split(tmp_path):
  np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).normal(size=(60, 2)), y=[4, 1, 1] * 20)
  config = tiny(**{"data": f"npz:{tmp_path}/d.npz", "data_options.hold_out": 0.2})
  experiment = build(config)
  assert experiment.held_out is not None
  assert (experiment.batches.source.size, experiment.held_out.size) == (48, 12)
  assert np.bincount(experiment.held_out.arrays["y"]).tolist() == [8, 4]
  config.seed, config.data_options.examples = 5, 20
  again = build(config)  # another seed trains on the same, and "examples" are of what is left
  assert again.held_out is not None and again.batches.source.size == 20
  np.testing.assert_array_equal(again.held_out.arrays["x"], experiment.held_out.arrays["x"])
  config.data = "mnist10k"
  with pytest.raises(ValueError, match=r"mnist10k has a test split of 2000 .*hold_out=0\.2 is for"):
    build(config)
  config.data, config.data_options.hold_out = f"npz:{tmp_path}/d.npz", 0.8
  with pytest.raises(
    ValueError, match=r"hold_out=0\.8 leaves 12 of the 60 .* fewer than one batch"
  ):
    build(config)
  config.data_options.hold_out = 1.5
  with pytest.raises(ValueError, match=r"hold_out=1\.5: expected a share between 0 and 1"):
    build(config)
