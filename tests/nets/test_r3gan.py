"""R3GAN: outputs, penalties, gradients, starts, schedules and sizes of the published code."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import ones
import optax
import pytest
from cases import load_case
from flax.traverse_util import flatten_dict, unflatten_dict

from gan_jax.game.core import Clock, StepContext
from gan_jax.game.kinds.two_player import two_player
from gan_jax.game.schedules import by_images, cosine_schedule, half_life
from gan_jax.losses.adversarial import relativistic
from gan_jax.losses.objectives import as_term
from gan_jax.losses.regularizers import REGULARIZERS
from gan_jax.nets import r3gan
from gan_jax.nets.convolution import forms
from gan_jax.nets.convolution.resampling import downsample, upsample
from gan_jax.nets.layers import ACTIVATIONS
from gan_jax.nets.published import layout
from gan_jax.nets.published import r3gan as weights
from gan_jax.nets.r3gan import R3GANDiscriminator, R3GANGenerator
from gan_jax.run.config import optimizer, schedule
from gan_jax.run.config.sections.optimizers import SCHEDULES, build_optimizer

KEY = jax.random.key(0)
COPY = json.loads(pathlib.Path(__file__).with_suffix(".json").read_text())


PLAYERS = {"d": "discriminator", "g": "generator"}


def path_of(name):
  """Maps the name of a published weight to (network, path in it)."""
  net = name[0].lower()
  return net, weights.path_of(name[2:], from_image=net == "d")[1:]


def in_our_layout(array, path):
  """Transposes a published weight, channels last, and inputs before outputs."""
  if path[0] == "basis":
    shape = (4, 4, len(array))
  elif path[-2:-1] == ("GroupedConv_0",) and array.ndim == 4:
    shape = tuple(array.shape[i] for i in (2, 3, 1, 0))
  else:
    shape = array.shape[1::-1] if array.ndim > 1 else array.shape
  return layout.in_our_layout(("params", *path), shape, array)


OPTIONS = {
  "WidthPerStage": "widths",
  "CardinalityPerStage": "cardinalities",
  "BlocksPerStage": "blocks",
  "ExpansionFactor": "expansion",
  "KernelSize": "kernel",
  "ConditionDimension": "num_classes",
  "ConditionEmbeddingDimension": "embedding",
}


def networks(hyperparameters):
  made = []
  for module, key in ((R3GANGenerator, "generator"), (R3GANDiscriminator, "discriminator")):
    given = {OPTIONS[k]: v for k, v in hyperparameters[key].items() if k in OPTIONS}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    side = hyperparameters["resolution"]
    made.append(module(**({"shape": (side, side, 3)} if key == "generator" else {}), **given))
  return made


def squared(name, found):
  """Returns a regularizer that keeps its values; ours are halves, so that their weight is gamma."""
  term = as_term(REGULARIZERS[name]())

  def value(match, memory):
    values, memory = term.value(match, memory)
    found[f"d_{name.upper()}"] = 2 * values
    return values, memory

  return term._replace(value=value)


def move(short, nets, gamma, params, arrays, wanted):
  """Computes a player's values and gradients as a round of ours does."""
  player, found = PLAYERS[short], {}
  y = arrays.get(f"in/y_{short}")
  game = two_player(
    *nets,
    loss=relativistic,
    regularizers={name: (gamma, squared(name, found)) for name in ("r1", "r2")},
    optimizers=dict.fromkeys(params, optax.sgd(1.0)),
    latent=lambda keys: arrays[f"in/z_{short}"][: len(keys)],
    conditional=y is not None,
  )
  batch = {"x": arrays[f"in/real_{short}"].transpose(0, 2, 3, 1)}
  batch |= {} if y is None else {"y": jnp.argmax(y, axis=1)}
  context, objective = StepContext(KEY, Clock(), None), game.players[player].objective
  carried = {name: {} for name in params} | dict(objective.memory)

  def loss(own):
    match, _ = objective.forward({**params, player: own}, carried, batch, context)
    found[f"{short}_loss"], _ = objective.value(match, {player: own}, carried, context)
    a, b = match.real_logits, match.fake_logits
    found[f"{short}_relativistic_logit"] = a - b if short == "d" else b - a
    found[f"{short}_adversarial"] = getattr(relativistic, player)(a, b)
    seen = {"D_real": a, "D_fake": b, "fake": jnp.moveaxis(match.fake, 3, 1)}
    return found[f"{short}_loss"], {**found, **(seen if short == "d" else {})}

  gradients, values = jax.grad(loss, has_aux=True)(params[player])
  return values, {path: x for path, x in flatten_dict(gradients).items() if path in wanted}


def check(found, expected, tolerance, key):
  """Compares to a share of the largest magnitude; zeros to 1e-6."""
  largest = np.abs(expected).max()
  allowed = tolerance * largest if largest > 1e-12 else 1e-6
  np.testing.assert_allclose(found, expected, rtol=0, atol=allowed, err_msg=key)


@pytest.mark.parametrize("name, on_cpu", [("uncond_16px", False), ("cond_8px", True)])
def test_losses_and_gradients_are_those_of_the_published_code(name, on_cpu, monkeypatch):
  """With convolutions in the form of other devices, and in that of a CPU."""
  monkeypatch.setattr(forms, "_on_cpu", lambda batch: on_cpu)
  arrays, found_case = load_case("r3gan", name)
  settings = found_case["hyperparameters"]
  errors = found_case["tolerance"]["measured_float32_error_over_max_abs"]
  params, wanted = {player: {} for player in PLAYERS.values()}, {"d": {}, "g": {}}
  for key, value in arrays.items():
    if key.startswith(("w/", "grad/")):
      net, path = path_of(key.split("/")[-1])
      into = wanted[net] if key.startswith("grad/") else params[PLAYERS[net]]
      into[path] = in_our_layout(value, path)
  params = {player: unflatten_dict(leaves) for player, leaves in params.items()}
  nets, gamma = networks(settings), settings["gamma"]
  both = jax.jit(lambda p, a: [move(short, nets, gamma, p, a, wanted[short]) for short in PLAYERS])
  (d_found, d_gradients), (g_found, g_gradients) = both(params, arrays)
  for key, value in (d_found | g_found).items():
    check(value, arrays[f"out/{key}"], max(1e-5, 8 * errors["outputs"]), key)
  assert len(d_found | g_found) == sum(key.startswith("out/") for key in arrays)
  for short, gradients in (("d", d_gradients), ("g", g_gradients)):
    assert gradients.keys() == wanted[short].keys()
    for path, value in gradients.items():
      check(value, wanted[short][path], max(1e-5, 8 * errors["gradients"]), path)


def test_activation_has_no_gain():
  arrays, activation = load_case("r3gan", "biased_activation")
  x = arrays["in/x"] + arrays["w/Bias"][None, :, None, None]
  check(ACTIVATIONS["leaky_relu"](x), arrays["out/y"], 1e-6, "y")
  np.testing.assert_allclose(r3gan.GAIN, activation["numbers"]["Gain"], rtol=1e-12)


def test_resampling_is_that_of_the_published_code():
  arrays, _ = load_case("r3gan", "resample_11")
  ways = {"up": upsample, "down": downsample}
  keys = [key.split("/")[1:] for key in arrays if key.startswith("out/")]

  @jax.jit
  def resampled(arrays):
    nhwc = {name: jnp.moveaxis(arrays[f"in/{name}"], 1, 3) for _, name in keys}
    return {f"out/{way}/{name}": ways[way](nhwc[name]) for way, name in keys}

  for key, value in resampled(arrays).items():
    check(jnp.moveaxis(value, 3, 1), arrays[key], 1e-6, key)


COUNTS = {  # of the generator and the discriminator, and classes
  "cifar10": [(20_781_952, 21_280_512, 10), (20_732_160, 20_683_776, None)],
  "stacked_mnist": [(20_732_160, 20_683_776, None)],
  "ffhq64": [(22_429_824, 22_381_440, None)],
  "ffhq256": [(23_057_952, 23_009_568, None)],
  "imagenet32": [(82_914_304, 86_548_992, 1000)],
  "imagenet64": [(103_570_432, 107_205_120, 1000)],
}


@pytest.mark.parametrize("preset", r3gan.PRESETS)
def test_presets_have_the_published_numbers_of_parameters(preset):
  side = 4 * 2 ** (len(r3gan.PRESETS[preset].widths) - 1)
  for *published, classes in COUNTS[preset]:
    options = {"preset": preset, "num_classes": classes}
    generator = R3GANGenerator((side, side, 3), **options)
    y = None if classes is None else jnp.zeros(2, jnp.int32)
    start = lambda net, shape, y=y: jax.eval_shape(
      lambda: net.init_with_output(KEY, jnp.zeros(shape), y, train=False)
    )
    image, made = start(generator, (2, 64))
    logits, judge = start(R3GANDiscriminator(**options), image.shape)
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(v["params"])) for v in (made, judge)]
    assert sizes == published and image.shape == (2, side, side, 3) and logits.shape == (2,)


def test_networks_start_as_published():
  """With ones for normal draws, each parameter is the standard deviation that it starts with."""
  settings = COPY["init"]["hyperparameters"]
  inputs = {"g": jnp.zeros((1, settings["noise"])), "d": jnp.zeros((1, 16, 16, 3))}
  expected = {path_of(name): std for name, std in COPY["init"]["deviations"].items()}
  for short, net in zip("gd", networks(settings), strict=True):
    start = lambda x, net=net: net.init(ones.key(), x, jnp.zeros(1, int), train=False)["params"]
    for path, x in flatten_dict(jax.jit(start)(inputs[short])).items():
      np.testing.assert_allclose(x, expected.pop((short, path)), rtol=1e-5, err_msg=str(path))
  assert not expected


@pytest.mark.parametrize("name", COPY["schedules"])
def test_schedules_are_the_published_ones(name):
  """Learning rate, beta2, gamma, half-life and p on one curve, and the decay of the average."""
  published = COPY["schedules"][name]
  with jax.enable_x64(True):  # the published difference of ones loses 2e-9 in the second row
    for row in published["rows"]:
      for key, (base, final) in published["base_and_final"].items():
        value = cosine_schedule(base, final, published["total_nimg"])(np.float64(row["cur_nimg"]))
        assert float(value) == pytest.approx(row[key], rel=1e-8), (key, row)
  half = cosine_schedule(*published["base_and_final"]["ema_nimg"], published["total_nimg"])
  for row in published["rows"]:
    clock = Clock(images=np.uint32(row["cur_nimg"]))
    got = half_life(by_images(half)).rate(clock, published["batch"])
    assert float(got) == pytest.approx(row["ema_beta"], abs=2e-7)


def test_adam_corrects_its_bias_by_the_present_beta2(monkeypatch):
  """Of an optimizer whose numbers change, against torch's."""
  given = {key: np.float32(value) for key, value in COPY["adam"].items()}
  monkeypatch.setitem(SCHEDULES, "recorded", lambda key: lambda t: jnp.asarray(given[key])[t])
  numbers = {"learning_rate": "lr", "b2": "beta2"}
  changing = {name: schedule("recorded", key=key) for name, key in numbers.items()}
  made = build_optimizer(optimizer("adam", b1=0.0, eps=1e-8, **changing), 1)
  params = jnp.asarray(given["p0"])
  state = made.init(params)
  for t, gradient in enumerate(given["grads"]):
    updates, state = made.update(jnp.asarray(gradient), state, params, clock=Clock(t))
    params = optax.apply_updates(params, updates)
    check(params, given["params"][t], 1e-6, f"after {t + 1} updates")


def test_blocks_that_are_run_again_give_the_same_and_take_less_memory():
  """Both networks, one upon the other, with gradients: activations are what there is most of.

  XLA takes the barriers out on CPU, finds the same computation twice and does it once; compiled as
  it is for accelerators, with the barriers left in, it takes less memory on CPU too.
  """
  barriers = {"xla_disable_hlo_passes": "cse_barrier_expander"}
  z = jax.random.normal(KEY, (128, 4))

  def compiled(remat):
    size = {"widths": (8, 8), "blocks": (2, 2), "remat": remat}
    g, d = R3GANGenerator((8, 8, 1), **size), R3GANDiscriminator(**size)

    def loss(params):
      g_params, d_params = params
      return jnp.mean(d.apply(d_params, g.apply(g_params, z, train=True), train=True) ** 2)

    starts = jax.eval_shape(
      lambda: (g.init(KEY, z, train=False), d.init(KEY, jnp.zeros((1, 8, 8, 1)), train=False))
    )
    lowered = jax.jit(jax.value_and_grad(loss)).lower(starts)
    return starts, lowered.compile(compiler_options=barriers)

  (starts, plain), (again_starts, again) = compiled(False), compiled(True)
  assert jax.tree.structure(starts) == jax.tree.structure(again_starts)
  memory = lambda program: program.memory_analysis().temp_size_in_bytes
  assert memory(again) < 0.5 * memory(plain)
  # Not as they start, where the last layer of a block is 0.
  wave = lambda leaf: 0.3 * jnp.cos(jnp.arange(leaf.size) ** 2.0).reshape(leaf.shape)
  params = jax.tree.map(wave, starts)
  (value, gradients), (same_value, same_gradients) = plain(params), again(params)
  np.testing.assert_allclose(same_value, value, rtol=1e-5)  # other fusions round otherwise
  for one, other in zip(*map(jax.tree.leaves, (gradients, same_gradients)), strict=True):
    check(other, one, 1e-5, "gradients")


RECORDED = [3.397013, 2.437495]


def test_outputs_are_those_recorded():
  """The means of magnitudes, by code that met the published numbers: no file is needed."""
  wave = lambda shape: np.cos(np.arange(np.prod(shape)) ** 2.0).reshape(shape).astype(np.float32)
  labels, found = jnp.arange(3), []
  for net, shape in (
    (R3GANGenerator((16, 16, 3), widths=(32, 16, 16), blocks=(1, 1, 1), num_classes=3), (3, 4)),
    (R3GANDiscriminator(widths=(16, 32, 32), blocks=(1, 1, 1), num_classes=3), (3, 16, 16, 3)),
  ):
    start = lambda x, net=net: net.init(KEY, x, labels, train=False)
    params = jax.tree.map(lambda leaf: 0.3 * wave(leaf.shape), jax.eval_shape(start, wave(shape)))
    apply = jax.jit(lambda p, x, net=net: net.apply(p, x, labels, train=True))
    found.append(float(jnp.abs(apply(params, wave(shape))).mean()))
  np.testing.assert_allclose(found, RECORDED, rtol=1e-4)
