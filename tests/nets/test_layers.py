"""What the networks share, against closed forms and against flax."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from gan_jax.game.core import Clock, StepContext
from gan_jax.game.forward import train_network
from gan_jax.game.random import EXAMPLES, Microbatch
from gan_jax.nets import layers, linear
from gan_jax.nets.maxout import Maxout

random = np.random.default_rng()


@pytest.fixture(autouse=True)
def seeded():
  """Gives each test the same numbers, whichever tests ran before it."""
  random.bit_generator.state = np.random.default_rng(0).bit_generator.state


def normal(*shape):
  return jnp.asarray(random.normal(size=shape), jnp.float32)


def near(actual, expected, atol=1e-5):
  np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=atol)


def mapped(function, *arguments):
  """Runs function under shard_map on eight devices, the first argument split."""
  mesh = Mesh(np.array(jax.devices()), "data")
  rows, all_ = PartitionSpec("data"), PartitionSpec()
  specs = (rows, *[all_] * (len(arguments) - 1))
  return jax.jit(
    jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=rows, check_vma=False)
  )(*arguments)


# --- spectral norm ------------------------------------------------------------------------------


def spectral(weight, u, train=True):
  """Returns the normalised weight and the u that is left."""
  variables = {"batch_stats": {"u": u}}
  out, left = linear.SpectralNorm().apply(variables, weight, train=train, mutable=["batch_stats"])
  return out, left["batch_stats"]["u"]


def test_spectral_norm_finds_the_largest_singular_value():
  weight, u = normal(3, 3, 2, 5), normal(5)
  step = jax.jit(lambda u: spectral(weight, u)[1])
  for _ in range(100):
    u = step(u)
  singular = np.linalg.svd(np.reshape(weight, (18, 5)), compute_uv=False)
  for train in (True, False):
    near(spectral(weight, u, train)[0], weight / singular[0])


def test_spectral_norm_takes_one_step_in_training_and_none_in_evaluation():
  weight, u = normal(4, 3), normal(3)
  left = weight @ u / np.linalg.norm(weight @ u)
  right = left @ weight / np.linalg.norm(left @ weight)
  trained, moved = spectral(weight, u)
  near(moved, right)
  near(trained, weight / np.linalg.norm(left @ weight))
  evaluated, kept = spectral(weight, u, train=False)
  near(kept, u)
  near(evaluated, weight / np.linalg.norm(weight @ (u / np.linalg.norm(u))))


def test_spectral_norm_gradient_is_that_of_the_paper():
  """Equation 12 of arXiv:1802.05957: (G - <G, W / sigma> v u^T) / sigma."""
  weight, u, g = normal(4, 3), normal(3), normal(4, 3)
  normalised, right = spectral(weight, u)
  left = weight @ u / np.linalg.norm(weight @ u)
  sigma = left @ weight @ right
  gradient = jax.grad(lambda w: jnp.vdot(g, spectral(w, u)[0]))(weight)
  near(gradient, (g - jnp.vdot(g, normalised) * jnp.outer(left, right)) / sigma)


def test_spectral_norm_of_zeros_is_zeros_and_not_the_end():
  zeros, u = jnp.zeros((4, 3)), jnp.array([1.0, 0.0, 0.0])
  out, kept = spectral(zeros, u)
  assert not out.any()
  near(kept, u)
  gradient = jax.grad(lambda w: jnp.sum(spectral(w, u)[0]))(zeros)
  near(gradient, np.ones((4, 3)))


def test_spectral_norm_starts_with_a_u_that_init_does_not_move():
  net = linear.SpectralNorm()
  weight = normal(4, 3)
  start = lambda train: net.init(jax.random.key(0), weight, train=train)["batch_stats"]["u"]
  near(start(True), start(False))
  assert start(True).shape == (3,) and jnp.any(start(True))


def test_spectral_norm_by_name_in_evaluation():
  """Frozen has u and v as they are, iterated takes one step, whatever training takes."""
  weight, u, v = normal(4, 3), normal(3), normal(4)
  unit = lambda x: x / np.linalg.norm(x)
  left = unit(weight @ u)
  right = unit(left @ weight)
  sigmas = {"frozen": unit(v) @ weight @ unit(u), "iterated": left @ weight @ right}
  for name, sigma in sigmas.items():
    net = linear.SpectralNorm(linear.Spectral(name, iterations=2))
    stats = {"batch_stats": {"u": u, "v": v} if name == "frozen" else {"u": u}}
    near(net.apply(stats, weight, train=False), weight / sigma)
    trained, state = net.apply(stats, weight, train=True, mutable="batch_stats")
    second = unit(weight @ right)
    near(state["batch_stats"]["u"], unit(second @ weight))
    near(trained, weight / np.linalg.norm(second @ weight))
    if name == "frozen":
      near(state["batch_stats"]["v"], second)
  with pytest.raises(ValueError, match="'melted'; expected one of refreshed, frozen, iterated"):
    linear.SpectralNorm(linear.Spectral("melted")).init(jax.random.key(0), weight, train=True)


def test_spectral_norm_tracks_further_singular_values():
  weight = normal(5, 4)
  net = linear.SpectralNorm(linear.Spectral("iterated", iterations=20, singular_values=3))
  state = net.init(jax.random.key(0), weight, train=True)
  step = jax.jit(lambda state: net.apply(state, weight, train=True, mutable="batch_stats"))
  for _ in range(10):
    out, state = step(state)
  singular = np.linalg.svd(weight, compute_uv=False)
  near(state["batch_stats"]["singular_values"], singular[:3])
  near(out, weight / singular[0])


# --- linear layers ------------------------------------------------------------------------------

FLAX = {
  linear.Dense: (nn.Dense(5), ()),
  linear.Conv: (nn.Conv(5, (3, 3)), (3, 3)),
  linear.StridedConv: (nn.Conv(5, (4, 4), (2, 2), 1), (4, 4)),
  linear.TransposedConv: (nn.ConvTranspose(5, (4, 4), (2, 2)), (4, 4)),
}


@pytest.mark.parametrize("layer", FLAX, ids=lambda layer: layer.__name__)
def test_layer_is_that_of_flax(layer):
  other, window = FLAX[layer]
  params = {"kernel": normal(*window, 3, 5), "bias": normal(5)}
  x = normal(2, 4, 4, 3)
  near(*(jax.jit(net.apply)({"params": params}, x) for net in (layer(5), other)))
  shapes = jax.eval_shape(layer(5).init, jax.random.key(0), x)["params"]
  assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, params)


def test_layer_computes_in_dtype_and_keeps_float32_parameters():
  layer = linear.Dense(3, dtype=jnp.bfloat16)
  out, variables = layer.init_with_output(jax.random.key(0), normal(2, 4))
  assert out.dtype == jnp.bfloat16
  assert {p.dtype for p in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_spectral_layer_has_norm_one():
  layer = linear.Dense(3, use_bias=False, spectral=True)
  variables = {"params": {"kernel": jnp.diag(jnp.array([5.0, 1.0, 0.5]))}}
  variables["batch_stats"] = {"spectral_norm": {"u": jnp.array([1.0, 0.0, 0.0])}}
  near(layer.apply(variables, jnp.eye(3)), np.diag([1, 0.2, 0.1]))


def test_maxout_by_hand():
  net = Maxout(2, pieces=2)
  kernel = jnp.array([[1.0, -1.0, 2.0, 3.0]])
  params = {"Dense_0": {"kernel": kernel, "bias": jnp.array([0.0, 0.0, 0.0, 1.0])}}
  near(net.apply({"params": params}, jnp.array([[1.0], [-2.0]])), [[1, 4], [2, -4]])


def test_self_attention_starts_as_the_identity_and_by_hand():
  net = layers.SelfAttention()
  x = normal(2, 2, 3, 8)
  kernels = {name: {"kernel": normal(8, 1)} for name in "fgh"} | {"v": {"kernel": normal(1, 8)}}
  apply = lambda gamma: net.apply({"params": {**kernels, "gamma": gamma}}, x, train=True)
  near(apply(jnp.zeros(())), x)
  assert net.init(jax.random.key(0), x, train=True)["params"]["gamma"] == 0

  places = np.reshape(x, (2, 6, 8))
  f, g, h = (places @ np.array(kernels[name]["kernel"]) for name in "fgh")
  scores = np.exp(np.einsum("bic,bjc->bji", f, g))  # of place j, to every place i
  weights = scores / scores.sum(-1, keepdims=True)
  o = (weights @ h @ np.array(kernels["v"]["kernel"])).reshape(x.shape)
  near(apply(jnp.array(0.5)), x + 0.5 * o, atol=1e-4)


# --- normalisation ------------------------------------------------------------------------------


def normalise(kind, x, train=True, labels=None, **options):
  """Applies a norm whose parameters are as at the start."""
  net = layers.Norm(kind, **options)
  variables = net.init(jax.random.key(0), x, labels, train=False)
  return net.apply(variables, x, labels, train=train, mutable=["batch_stats"])


@pytest.mark.parametrize(
  "kind, axes", [("batch", (0, 1, 2)), ("layer", (1, 2, 3)), ("instance", (1, 2))]
)
def test_norm_standardises_over_its_axes(kind, axes):
  x = 3 + 2 * normal(4, 5, 6, 3)
  mean, var = np.mean(x, axes, keepdims=True), np.var(x, axes, keepdims=True)
  near(normalise(kind, x)[0], (x - mean) / np.sqrt(var + 1e-5), atol=1e-4)


@pytest.mark.parametrize("kind", ["spectral", "none"])
def test_norm_that_leaves_the_activations_alone(kind):
  x = normal(2, 3, 3, 4)
  near(normalise(kind, x)[0], x)


def test_batch_norm_keeps_running_statistics_for_evaluation():
  x = 3 + 2 * normal(64, 3)
  _, left = normalise("batch", x)
  stats = left["batch_stats"]["BatchNorm_0"]
  near(stats["mean"], 0.1 * np.mean(x, 0))
  near(stats["var"], 0.9 + 0.1 * np.var(x, 0))
  near(normalise("batch", x, train=False)[0], x / np.sqrt(1 + 1e-5))


def test_conditional_norm_scales_and_shifts_by_class():
  x, labels = normal(3, 2, 2, 4), jnp.eye(2)[jnp.array([0, 1, 1])]
  scale, shift = normal(2, 4), normal(2, 4)
  net = layers.Norm("instance")
  params = {"scale": {"kernel": scale}, "shift": {"kernel": shift}}
  out = net.apply({"params": params}, x, labels, train=True)
  by_example = lambda table: np.array(labels @ table)[:, None, None]
  near(out, normalise("instance", x)[0] * by_example(scale) + by_example(shift))
  near(normalise("instance", x, labels=labels)[0], normalise("instance", x)[0])


def test_batch_norm_on_eight_devices_sees_the_global_batch():
  x = normal(16, 3) * jnp.arange(1.0, 17)[:, None]
  plain, split = layers.Norm("batch"), layers.Norm("batch", axis_name="data")
  variables = plain.init(jax.random.key(0), x, train=False)
  run = lambda net: lambda x: net.apply(variables, x, train=True, mutable=["batch_stats"])
  expected, stats = run(plain)(x)
  near(mapped(lambda x: run(split)(x)[0], x), expected)
  parts = x.reshape(8, 2, 3)
  out, left = jax.pmap(run(split), axis_name="data")(parts)
  near(out.reshape(16, 3), expected)
  for device in (0, 7):
    jax.tree.map(lambda a, b, i=device: near(np.array(a)[i], b), left, stats)


# --- dropout ------------------------------------------------------------------------------------


def drop(x, rate=0.5, train=True, axis_name=None, seed=0):
  rngs = {"dropout": jax.random.key(seed)}
  place = {} if axis_name is None else {"device": jax.lax.axis_index(axis_name)}
  return layers.Dropout(rate).apply({EXAMPLES: place}, x, train=train, rngs=rngs)


def test_dropout_drops_at_its_rate_and_keeps_the_mean():
  out = drop(jnp.ones((40, 1000)), rate=0.2)
  assert set(np.unique(out)) == {0.0, 1.25}
  near(jnp.mean(out == 0), 0.2, atol=0.01)
  assert len(np.unique(out, axis=0)) == 40  # every example has its own mask
  assert jnp.any(drop(jnp.ones((2, 50))) != drop(jnp.ones((2, 50)), seed=1))
  near(drop(out, train=False), out)
  nothing = jax.value_and_grad(lambda x: drop(x, rate=1.0).sum())(jnp.ones((2, 3)))
  jax.tree.map(lambda x: np.testing.assert_array_equal(x, 0), nothing)


def test_dropout_masks_are_the_same_on_one_device_and_eight():
  x = jnp.ones((16, 20))
  expected = drop(x)
  np.testing.assert_array_equal(mapped(lambda x: drop(x, axis_name="data"), x), expected)
  parts = jax.pmap(lambda x: drop(x, axis_name="data"), axis_name="data")(x.reshape(8, 2, 20))
  np.testing.assert_array_equal(parts.reshape(16, 20), expected)


class Noisy(nn.Module):
  """Dropout, and draws of other streams."""

  rate: float = 0.0
  streams: tuple[str, ...] = ("noise",)

  @nn.compact
  def __call__(self, x, y=None, *, train):
    drawn = [layers.Dropout(self.rate)(x, train=train)]
    for stream in self.streams:
      keys = layers.stream_keys(self, stream, len(x))
      drawn.append(jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys))
    return jnp.stack(drawn)


def test_every_example_and_call_draws_anew_and_dropout_apart():
  rngs = {"dropout": jax.random.key(0), "params": jax.random.key(1)}
  draw = lambda *fields: Noisy(*fields).apply({}, jnp.ones((16, 50)), train=True, rngs=rngs)
  dropped, *drawn = np.asarray(draw(0.5, ("noise", "noise", "jitter")))
  assert len(np.unique(drawn)) == np.size(drawn)
  near(np.std(drawn), 1, atol=0.05)
  np.testing.assert_array_equal(draw(0.5, ())[0], dropped)
  np.testing.assert_array_equal(draw()[1], drawn[0])


@pytest.mark.parametrize("count", [1, 2])
def test_noise_is_of_the_place_in_the_global_batch(count):
  """On eight devices, and in each of two microbatches of every device."""
  x, net, key = jnp.ones((32, 3)), Noisy(), jax.random.key(5)
  draw = lambda x, *where: train_network(
    net, "net", {}, {}, x, None, key, StepContext(key, Clock(), *where)
  )[0][1]
  want = draw(x, None)

  def part(x, index):
    return draw(x[index::count], "data", Microbatch(index, count))

  for index in range(count):
    got = mapped(functools.partial(part, index=index), x)
    np.testing.assert_array_equal(got, want[index::count])


# --- labels -------------------------------------------------------------------------------------


def test_logit_is_a_projection_on_the_class():
  net = layers.Logit()
  features, labels = normal(3, 4), jnp.eye(2)[jnp.array([0, 1, 0])]
  head, bias, embedding = normal(4, 1), normal(1), normal(2, 4)
  params = {"logit": {"kernel": head, "bias": bias}, "embedding": {"kernel": embedding}}
  expected = (features @ head)[:, 0] + bias + jnp.sum((labels @ embedding) * features, -1)
  near(net.apply({"params": params}, features, labels, train=True), expected)
  plain = (features @ head)[:, 0] + bias
  near(net.apply({"params": params}, features, train=True), plain)


def test_label_joins_the_latent():
  z, labels, table = normal(3, 2), jnp.eye(4)[jnp.array([3, 0, 3])], normal(4, 2)
  out = layers.WithLabels().apply({"params": {"embedding": {"kernel": table}}}, z, labels)
  near(out, jnp.concatenate([z, table[jnp.array([3, 0, 3])]], -1))
  near(layers.WithLabels().apply({}, z, None), z)


def test_label_starts_out_as_one_coordinate_of_the_latent():
  """As long as the latent, it drowned it: a conditional run made one image of each class."""
  for width in (64, 512):
    start = layers.WithLabels().init(jax.random.key(0), jnp.zeros((1, width)), jnp.eye(1, 1000))
    lengths = jnp.linalg.norm(start["params"]["embedding"]["kernel"], axis=-1)
    near(jnp.mean(lengths**2), 1, 0.05)  # of 64,000 squares or more: 3 sd are 0.017


def test_labels_for():
  near(layers.labels_for(3, jnp.array([2, 0])), [[0, 0, 1], [1, 0, 0]])
  assert layers.labels_for(None, jnp.array([2, 0])) is None
  with pytest.raises(ValueError, match="num_classes=3 needs labels"):
    layers.labels_for(3, None)


# --- errors -------------------------------------------------------------------------------------


def test_errors_list_what_there_is():
  with pytest.raises(ValueError, match="Unknown norm 'btach'; expected one of batch, layer"):
    normalise("btach", jnp.zeros((1, 2)))
  with pytest.raises(ValueError, match="Unknown activation 'rleu'; expected one of relu"):
    layers.lookup(layers.ACTIVATIONS, "rleu", "activation")
  for shape in ((30, 30, 1), (28, 32, 1), (28, 28)):
    with pytest.raises(ValueError, match=r"of 28, 32 pixels; got \("):
      layers.image_size(shape, {28: None, 32: None})
