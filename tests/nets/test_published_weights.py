"""Files of published code: networks told by their weights, and outputs of the published code."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import load_case
from torch_files import Called, Object, module_state, tensors, written

from gan_jax import nets
from gan_jax.nets.convolution import forms
from gan_jax.nets.published import biggan, files, layout, mimicry, r3gan, stylegan2, translation
from gan_jax.run.weights.kinds import KINDS
from gan_jax.torch_file import read_torch

MOST = 1 << 24


def arrays_of(case, prefix=""):
  """Returns the parameters and buffers of a case by their published names."""
  return {
    name[2:].removeprefix(prefix): array
    for name, array in case.items()
    if name[:2] in ("w/", "b/") and name[2:].startswith(prefix)
  }


def apply(net, variables, *inputs, **options):
  generates = {"shape": net.shape} if net.latent else {}
  own = {"num_classes": net.classes} | generates if net.shape[0] else {}
  own = {"channels": net.shape[-1]} if "translator" in net.name else own
  module = nets.NETWORKS[net.name](**{**net.options, **options}, **own)
  return np.asarray(jax.jit(lambda v, *x: module.apply(v, *x, train=False))(variables, *inputs))


def close(found, expected):
  """Compares images, channels last, or logits, with those of the published code."""
  found = np.moveaxis(found, 3, 1) if found.ndim == 4 else found.reshape(expected.shape)
  # Five times the largest error of any case: the networks are held to 8 times that of float32.
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def persistent(arrays, **kwargs):
  """Makes a network as StyleGAN2's code pickles it: with a source text that would do harm."""

  def make(path, attributes):
    state = Called("dnnlib.util.EasyDict") if path == "nowhere" else attributes
    name = path.rpartition(".")[2] or "Generator"
    source = "raise RuntimeError('it was run')"
    about = {"type": "class", "version": 6, "module_src": source, "class_name": name}
    return Called("torch_utils.persistence._reconstruct_persistent_obj", {**about, "state": state})

  buffers = lambda name: name in ("resample_filter", "noise_const", "w_avg")
  scale = Called("numpy._core.multiarray.scalar", Called("numpy.dtype", "f8"), b"12345678")
  own = {"_init_args": (), "_init_kwargs": kwargs, "weight_gain": scale}
  return make("", {**module_state(arrays, make, buffers), **own})


def stylegan2_snapshot(protocol=4):
  """Returns the bytes of a snapshot of the cases of 16 pixels, and the cases."""
  g, of_g = load_case("stylegan2", "G_skip_16")
  d, of_d = load_case("stylegan2", "D_resnet_16")
  g_options, d_options = of_g["hyperparameters"], of_d["hyperparameters"]
  sizes = lambda options: {name: options[name] for name in ("channel_base", "channel_max")}
  common = {"c_dim": 0, "img_resolution": 16, "img_channels": 3}
  g_given = {"z_dim": 12, "w_dim": 10, **common, "mapping_kwargs": {"num_layers": 2}}
  g_given["synthesis_kwargs"] = {**sizes(g_options), "num_fp16_res": 0, "conv_clamp": None}
  generator = persistent(arrays_of(g), **g_given)
  discriminator = persistent(arrays_of(d), **common, **sizes(d_options), num_fp16_res=0)
  tree = {"G": generator, "D": discriminator, "G_ema": generator, "augment_pipe": None}
  tree["training_set_kwargs"] = {"path": "/theirs.zip"}
  return written(tree, "bare", protocol), g, d


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_snapshot_of_stylegan2_is_read_and_none_of_its_source_is_run(protocol):
  content, g, d = stylegan2_snapshot(protocol)
  weights = stylegan2.read([("x.pkl", read_torch(content, stylegan2.OBJECTS))], MOST)
  generator, discriminator = weights.networks["generator"], weights.networks["discriminator"]
  image = apply(generator, weights.averages["generator"], g["in/z"], noise="const")
  close(image, g["out/img noise=const psi=1"])
  logits = apply(discriminator, discriminator.variables, np.moveaxis(d["in/img"], 1, 3))
  close(logits, d["out/logits"])
  assert (generator.latent, generator.shape, generator.classes) == (12, (16, 16, 3), None)


@pytest.mark.parametrize(
  "change, why",
  [
    ({"synthesis_kwargs": {"channel_base": 128, "magnitude_ema_beta": 0.9}}, "magnitude_ema_beta"),
    ({"mapping_kwargs": {"num_layers": 3}}, "fc2.bias of StyleGAN2Generator"),
    ({"z_dim": "12"}, "z_dim='12': expected a number"),
    ({"w_dim": 11}, "it is another network"),
  ],
)
def test_what_a_network_cannot_be_is_said(change, why):
  g, _ = load_case("stylegan2", "G_skip_16")
  given = {"z_dim": 12, "w_dim": 10, "c_dim": 0, "img_resolution": 16, "img_channels": 3}
  given["mapping_kwargs"] = {"num_layers": 2}
  given["synthesis_kwargs"] = {"channel_base": 128, "channel_max": 12}
  with pytest.raises(ValueError, match=why):
    stylegan2.generator(arrays_of(g), {**given, **change})


def test_arguments_of_other_versions_of_stylegan2(monkeypatch):
  """Of StyleGAN3's copy, and of files that the published code converted from TensorFlow's.

  As `training/networks_stylegan2.py` of NVlabs/stylegan3 (2cd5e5c) and `legacy.py` of
  NVlabs/stylegan2-ada-pytorch (158d7da) have them.
  """
  made = lambda name, options, *_, **__: layout.Network(name, options, (16, 16, 3), {})
  monkeypatch.setattr(stylegan2, "build", made)
  arrays = {"synthesis.b4.const": np.zeros((1, 4, 4), np.float32)}
  common = {"c_dim": 0, "img_resolution": 16, "img_channels": 3}
  sizes = {"channel_base": 128, "channel_max": 12}
  mapping = {"embed_features": None, "layer_features": None, "activation": "lrelu"}
  given = {"z_dim": 12, "w_dim": 10, **common, "mapping_kwargs": {"num_layers": 2} | mapping}
  nested = given | {"synthesis_kwargs": sizes}
  flat = given | sizes | {"fused_modconv_default": "inference_only"}
  copies = {"G": persistent(arrays, **flat), "D": persistent(arrays, **common, **sizes)}
  tree = read_torch(written(copies, "bare", 4), stylegan2.OBJECTS)
  networks = stylegan2.read([("x.pkl", tree)], MOST).networks
  assert [net.options["conv_clamp"] for net in networks.values()] == [256, 256]
  plain = stylegan2.generator(arrays, nested)
  assert networks["generator"].options == {**plain.options, "conv_clamp": 256}
  assert plain.options["conv_clamp"] is None and plain.options["channel_base"] == 128

  parts = {"block_kwargs": {"activation": "lrelu"}, "epilogue_kwargs": {"mbstd_group_size": None}}
  converted = {**common, **sizes, **parts, "mapping_kwargs": {"num_layers": 0} | mapping}
  found = stylegan2.discriminator(arrays, converted).options
  assert found["mbstd_group_size"] > 10**6 and "mapping_layers" not in found
  relu = {"activation": "relu"}
  with pytest.raises(ValueError, match=r"\['lrelu', 'relu'\] in its parts"):
    stylegan2.discriminator(arrays, converted | {"block_kwargs": relu})
  with pytest.raises(ValueError, match=r"the generator was made with the activations"):
    stylegan2.generator(arrays, nested | {"synthesis_kwargs": sizes | relu})


def r3gan_module(arrays, outer):
  kinds = {
    "Layer": "torch.nn.modules.conv.Conv2d",
    "Layers": "torch.nn.modules.container.ModuleList",
  }

  def make(path, attributes):
    name = kinds.get(path.rpartition(".")[2], "R3GAN.Networks.ResidualBlock")
    return Object(name, **attributes)

  own = module_state({f"Model.{name}": array for name, array in arrays.items()}, make, lambda n: 0)
  return Object(f"training.networks.{outer}", **own, z_dim=8, DataType=Called("torch.bfloat16"))


@pytest.mark.parametrize("name", ["uncond_16px", "cond_8px"])
def test_a_snapshot_of_r3gan_is_read(name):
  case, _ = load_case("r3gan", name)
  g, d = (r3gan_module(arrays_of(case, f"{n[0]}."), n) for n in ("Generator", "Discriminator"))
  tree = {"G": g, "D": d, "G_ema": g, "cur_nimg": 8, "G_opt_state": {"state": {}}}
  tree = read_torch(written(tree, "bare", 4), r3gan.OBJECTS)
  weights = r3gan.read([("x.pkl", tree)], MOST)
  y = [jnp.asarray(case["in/y_d"].argmax(1))] if "in/y_d" in case else []
  generator, discriminator = weights.networks["generator"], weights.networks["discriminator"]
  close(apply(generator, weights.averages["generator"], case["in/z_d"], *y), case["out/fake"])
  real = np.moveaxis(case["in/real_d"], 1, 3)
  close(apply(discriminator, discriminator.variables, real, *y), case["out/D_real"])


def read(kind, **arrays):
  """Reads files of one network each, with the tensors of these."""
  trees = [(name, read_torch(written(tensors(own), "zip"))) for name, own in arrays.items()]
  return kind(trees, MOST)


def test_files_of_biggan_are_read():
  case, _ = load_case("biggan", "biggan32_hier_shared")
  g, d = arrays_of(case, "G."), arrays_of(case, "D.")
  # Learned later, and told by the name of its file.
  raw = {name: 2 * array for name, array in g.items()}
  weights = read(files.read_biggan, **{"G_ema.pth": g, "G.pth": raw, "D.pth": d})
  generator = weights.networks["generator"]
  assert (generator.latent, generator.classes) == (16, 5)
  z, y = case["in/z"], jnp.asarray(case["in/y"])
  close(apply(generator, weights.averages["generator"], z, y), case["out/G eval"])
  kernel = lambda variables: variables["params"]["block_0"]["conv1"]["kernel"]
  twice = kernel(weights.averages["generator"]) * 2
  np.testing.assert_array_equal(kernel(generator.variables), twice)
  assert weights.networks["discriminator"].options["attention"] == (16,)
  with pytest.raises(ValueError, match=r"b.pth is a second generator"):
    read(files.read_biggan, **{"a.pth": g, "b.pth": g})
  with pytest.raises(ValueError, match="there is no generator among the files"):
    read(files.read_biggan, **{"D.pth": d})
  with pytest.raises(ValueError, match="nothing for params.block_1.conv2.bias of BigGANGenerator"):
    biggan.generator({name: g[name] for name in g if name != "blocks.1.0.conv2.bias"})


@pytest.mark.parametrize("name", ["resnet6_ngf8_32", "unet5_ngf4_32", "patchgan3_ndf8_32"])
def test_files_of_translators_are_read(name):
  case, _ = load_case("cyclegan", name)
  arrays = arrays_of(case)
  if name[0] == "p":
    networks = read(files.read_cyclegan, **{"latest_net_D_A.pth": arrays}).networks
    (net,) = networks.values()
    assert [*networks] == ["discriminator_b"]  # D_A looks at what G_A makes
  else:
    networks = read(files.read_cyclegan, **{"latest_net_G_B.pth": arrays}).networks
    assert [*networks] == ["b_to_a"]
    net = networks["b_to_a"]
  close(apply(net, net.variables, np.moveaxis(case["in/x"], 1, 3)), case["out/y"])


def test_batch_norm_of_translators_has_its_statistics():
  """By position too, the layers of a small ResNet with it; counters are left out."""
  module = nets.ResnetTranslator(width=2, blocks=1, norm="batch")
  x = jax.ShapeDtypeStruct((1, 16, 16, 3), jnp.float32)
  made = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=False), x)
  stats = {"weight": 1.0, "bias": 2.0, "running_mean": 3.0, "running_var": 4.0}
  sizes = [(2, 3, 7), (4, 2, 3), (8, 4, 3), (8, 8, 3), (8, 8, 3), (8, 4, 3), (4, 2, 3), (3, 2, 7)]
  places = [1, 4, 7, "10.conv_block.1", "10.conv_block.5", 11, 14, 18]
  arrays = {}
  for place, (o, i, k) in zip(places, sizes, strict=True):
    arrays[f"model.{place}.weight"] = np.ones((o, i, k, k), np.float32)
    if place == 18:
      arrays[f"model.{place}.bias"] = np.zeros(3, np.float32)
      continue
    outputs = i if place in (11, 14) else o  # transposed
    norm = f"model.10.conv_block.{place[-1]}n" if isinstance(place, str) else f"model.{place}n"
    arrays |= {f"{norm}.{leaf}": np.full(outputs, v, np.float32) for leaf, v in stats.items()}
    arrays[f"{norm}.num_batches_tracked"] = np.array(7)
  net = translation.translator(arrays)
  assert net.options == {"width": 2, "norm": "batch", "blocks": 1, "dropout": 0.0}
  assert jax.tree.structure(net.variables) == jax.tree.structure(made)
  assert {float(leaf.ravel()[0]) for leaf in jax.tree.leaves(net.variables["batch_stats"])} == {
    3,
    4,
  }


def mimicry_generator(classes=0):
  """Makes the arrays of a generator of 32 pixels, width 4, at random."""
  rng = np.random.default_rng(0)
  draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
  arrays = {"l1.weight": draw(64, 8), "l1.bias": draw(64)}
  norm = lambda name: {
    f"{name}.weight": draw(4),
    f"{name}.bias": draw(4),
    f"{name}.running_mean": draw(4),
    f"{name}.running_var": 1 + draw(4) ** 2,
    f"{name}.num_batches_tracked": np.array(3),
  }
  for block in ("block2", "block3", "block4"):
    for layer, size in (("c1", 3), ("c2", 3), ("c_sc", 1)):
      arrays[f"{block}.{layer}.weight"] = draw(4, 4, size, size) / 6
      arrays[f"{block}.{layer}.bias"] = draw(4)
    for layer in ("b1", "b2"):
      own = norm(f"{block}.{layer}{'.bn' if classes else ''}")
      if classes:
        own = {name: array for name, array in own.items() if "running" in name}
        own[f"{block}.{layer}.embed.weight"] = draw(classes, 8)
      arrays |= own
  return arrays | norm("b5") | {"c5.weight": draw(3, 4, 3, 3) / 6, "c5.bias": draw(3)}


# Means of |x| and the first pixels of x[1], by PyTorch 2.13.0 in the order of mimicry's layers.
RECORDED = {
  0: [0.931576, 0.899854, -0.77638, -0.037495],
  3: [0.715568, 0.135789, 0.768847, -0.926418],
}


@pytest.mark.parametrize("classes", RECORDED)
def test_generators_of_mimicry_are_read(classes):
  """Doubled by bilinear interpolation; scale and shift of a class in one table."""
  arrays = mimicry_generator(classes)
  tree = {"model_state_dict": tensors(arrays), "optimizer_state_dict": None, "global_step": 9}
  tree = read_torch(written(tree, "zip"))
  weights = files.read_mimicry([("netG_9_steps.pth", tree)], MOST)
  net = weights.networks["generator"]
  z = np.cos(np.arange(16.0) ** 2).reshape(2, 8).astype(np.float32)
  image = apply(net, net.variables, z, *([jnp.array([0, 2])] if classes else []))
  np.testing.assert_allclose([np.abs(image).mean(), *image[1, 0, 0]], RECORDED[classes], atol=1e-5)
  assert weights.missing["discriminator"][0] == "sngan_discriminator"


def test_the_discriminator_of_mimicry_is_read():
  """That of the rotations is left out; the first step of power iteration is from their vector."""
  case, _ = load_case("ssgan_infomax", "ssgan_D")
  net = mimicry.discriminator(arrays_of(case))
  module = nets.SNGANDiscriminator(**net.options)
  real = np.moveaxis(case["in/real"], 1, 3)
  run = lambda v: module.apply(v, real, train=True, mutable=["batch_stats"])[0]
  close(np.asarray(jax.jit(run)(net.variables)), case["out/D real"][:, 0])
  assert {"l_y.weight", "l_y.bias"} <= {*net.unused}


class Drawn(dict):
  """Weights at random by StudioGAN's names; vectors of spectral norm are two steps from random."""

  def __init__(self, spectral=True):
    self.spectral, self.rng = spectral, np.random.default_rng(0)

  def draw(self, name, *shape, scale=1.0):
    self[name] = (scale * self.rng.normal(size=shape)).astype(np.float32)
    return self[name]

  def layer(self, name, *shape, bias=True):
    own = "weight_orig" if self.spectral else "weight"
    weight = self.draw(f"{name}.{own}", *shape, scale=np.prod(shape[1:]) ** -0.5)
    if bias:
      self.draw(f"{name}.bias", shape[0], scale=0.3)
    if self.spectral:
      matrix, u = weight.reshape(len(weight), -1), self.rng.normal(size=len(weight))
      for _ in range(2):
        v = u @ matrix / np.linalg.norm(u @ matrix)
        u = matrix @ v / np.linalg.norm(matrix @ v)
      self[f"{name}.weight_u"], self[f"{name}.weight_v"] = np.float32(u), np.float32(v)

  def norm(self, name, features):
    self.draw(f"{name}.running_mean", features, scale=0.5)
    self[f"{name}.running_var"] = 0.5 + self.draw(f"{name}.running_var", features) ** 2
    self[f"{name}.num_batches_tracked"] = np.array(7)

  def attention(self, name, features):
    for own, (o, i) in {"theta": (8, 1), "phi": (8, 1), "g": (2, 1), "attn": (1, 2)}.items():
      self.layer(f"{name}.conv1x1_{own}", features // o, features // i, 1, 1, bias=False)
    self[f"{name}.sigma"] = np.float32([0.7])


def studio_generator(first, widths, chunk, shared=0, classes=0, attention=0, **options):
  """Draws a generator of big_resnet; `attention` is the number of the block before it, from 1."""
  made, index = Drawn(**options), 0
  made.layer("linear0", 16 * first, chunk)
  if classes:
    made.draw("shared.weight", classes, shared)
  for number, (i, o) in enumerate(zip([first, *widths], widths, strict=False), 1):
    block = f"blocks.{index}.0"
    for norm, features in (("bn1", i), ("bn2", o)):
      made.norm(f"{block}.{norm}.bn", features)
      for own in ("gain", "bias"):
        made.layer(f"{block}.{norm}.{own}", features, chunk + shared, bias=False)
    for layer, (features, size) in enumerate(((i, 1), (i, 3), (o, 3))):
      made.layer(f"{block}.conv2d{layer}", o, features, size, size)
    if number == attention:
      index += 1
      made.attention(f"blocks.{index}.0", o)
    index += 1
  made.norm("bn4", o)
  made.draw("bn4.weight", o)
  made.draw("bn4.bias", o)
  made.layer("conv2d5", 3, o, 3, 3)
  return made


def studio_discriminator(widths, halvings, classes=0, attention=0, embed=0):
  """Draws a discriminator of big_resnet; `attention` as of `studio_generator`."""
  made, index = Drawn(), 0
  for number, (i, o) in enumerate(zip([3, *widths], widths, strict=False), 1):
    for layer, (features, size) in enumerate(((i, 1), (i, 3), (o, 3))):
      if layer or number <= halvings or i != o:
        made.layer(f"blocks.{index}.0.conv2d{layer}", o, features, size, size)
    if number == attention:
      index += 1
      made.attention(f"blocks.{index}.0", o)
    index += 1
  made.layer("linear1", 1, o)
  if embed:
    made.layer("linear2", embed, o)
  if classes:
    made.layer("embedding", classes, embed or o, bias=False)
  return made


# Of z or images cos(i²), labels 1 and 3: means of |x| and the first pixels of x[1]; logits, and
# cosines of embeddings with those of the classes. By PyTorch 2.13.0 in float64, of networks written
# from the order of the layers in src/models/big_resnet.py of POSTECH-CVLab/PyTorch-StudioGAN at
# 3669dace27494b5d9c733a5a68a6105cae6e5f5e.
STUDIO = {
  "classes, attention after the second block": (
    studio_generator(8, (8, 8, 8), 4, shared=6, classes=5, attention=2),
    [0.717023, 0.517733, 0.609051, -0.656959],
  ),
  "no classes, no spectral norm": (
    studio_generator(8, (8, 8, 8), 4, spectral=False),
    [0.718366, -0.283776, 0.134308, 0.840007],
  ),
  "64 pixels": (
    studio_generator(16, (8, 4, 2, 1), 2, shared=3, classes=5),
    [0.209332, -0.227877, -0.263715, -0.124553],
  ),
  "projection, attention after the first block": (
    studio_discriminator((8,) * 4, 2, classes=5, attention=1),
    [0.04707, -49.885915],
  ),
  "no labels": (studio_discriminator((8,) * 4, 2), [-7.213261, -7.264374]),
  "projection, 64 pixels": (
    studio_discriminator((2, 4, 8, 16, 32), 4, classes=5, attention=4),
    [4.823422, 7.627958],
  ),
  "embedding": (
    studio_discriminator((8,) * 4, 2, classes=5, attention=1, embed=6),
    [-27.038314, -26.97868, -0.098178, 0.628433],
  ),
}


@pytest.mark.parametrize("name", STUDIO)
def test_networks_of_studiogan_are_read(name, monkeypatch):
  """Attention, rectified shortcuts, and singular vectors as the file has them, not refreshed."""
  monkeypatch.setattr(forms, "_on_cpu", lambda batch: False)  # products take longer to compile
  arrays, recorded = STUDIO[name]
  generates = biggan.is_studio_generator(arrays)
  net = (biggan.studio_generator if generates else biggan.studio_discriminator)(arrays)
  cosines = lambda *shape: np.cos(np.arange(np.prod(shape, dtype=float)) ** 2).reshape(shape)
  x = cosines(2, net.latent) if generates else np.moveaxis(cosines(2, 3, *net.shape[:2]), 1, 3)
  inputs = [np.float32(x), *([] if net.classes is None else [jnp.array([1, 3])])]
  if name == "embedding":
    module = nets.NETWORKS[net.name](
      **net.options, num_classes=net.classes, head=nets.EmbeddingHead(6)
    )
    out = jax.jit(lambda v, *x: module.apply(v, *x, train=False))(net.variables, *inputs)
    found = [*out["logits"], *(out["embedding"] * out["proxy"]).sum(1)]
  else:
    found = apply(net, net.variables, *inputs)
    found = [np.abs(found).mean(), *found[1, 0, 0]] if generates else found
  # Ten times the largest error of float32 in PyTorch, and the last digit of what is recorded.
  largest = np.abs(recorded).max()
  np.testing.assert_allclose(found, recorded, rtol=0, atol=1e-5 * largest)


def test_files_of_studiogan_become_the_game_that_their_discriminator_plays():
  g, rival = (
    STUDIO[name][0] for name in ("classes, attention after the second block", "embedding")
  )
  config = lambda **files_of: KINDS["studiogan"].config(read(files.read_studiogan, **files_of))
  alone = config(**{"model=G-1.pth": g})
  assert (alone.game.name, alone.latent.dim, alone.conditional) == ("two_player", 16, True)
  # At random, with half the channels of the generator, as StudioGAN has at 32 pixels.
  assert (alone.discriminator.width, alone.discriminator.rectified_shortcut) == (1, True)
  both = config(**{"model=G-1.pth": g, "model=D-1.pth": rival})
  assert (both.game.name, both.task.name, both.task.dim) == ("auxiliary_task", "reac_gan", 6)
  assert (both.discriminator.width, both.discriminator.attention_blocks) == (2, (0,))


@pytest.mark.parametrize(
  "change, why",
  [
    ({"linear2.weight_orig": (5, 8)}, r"logits of classes without a bias \(AC\)"),
    ({"linear1.weight_orig": (6, 8)}, r"6 logits \(MD or MH\)"),
    ({"linear_mi.weight_orig": (5, 8)}, r"second classifier \(TAC\)"),
    ({"info_conti_mu_linear.weight_orig": (2, 8)}, r"codes \(InfoGAN\)"),
    ({"blocks.0.0.bn1.running_mean": (8,)}, "batch norm in the place of spectral norm"),
  ],
)
def test_discriminators_of_studiogan_that_are_not_here_are_named(change, why):
  arrays = dict(STUDIO["no labels"][0])
  arrays |= {name: np.zeros(shape, np.float32) for name, shape in change.items()}
  with pytest.raises(ValueError, match=why):
    biggan.studio_discriminator(arrays)
