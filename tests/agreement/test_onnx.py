"""Generators as ONNX and as a page, in an environment of their own, which jax2onnx needs.

python3 -m venv onnx
onnx/bin/pip install -e '.[onnx,export]' pytest playwright pyyaml
onnx/bin/python -m pytest tests/agreement/test_onnx.py
"""

import shutil

import jax
import pytest

pytest.importorskip("jax2onnx", reason="it wants an older Orbax: see above")

from first_states import untrained
from kinds import KINDS, two_player

from gan_jax.run.config import network
from gan_jax.run.export import onnx, web
from gan_jax.run.export.formats import FORMATS
from gan_jax.run.export.generator import generator_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NETS = {
  "dcgan": {"width": 8, "dtype": "bfloat16"},
  "stylegan2": {"w_dim": 16, "channel_base": 64, "channel_max": 16},
  "r3gan": {"widths": (16, 16), "blocks": (1, 1)},
  "sngan": {"width": 8},
  "biggan": {"width": 4, "attention": (16,)},
}
TRANSLATORS = {"resnet": {"width": 4, "blocks": 2}, "unet": {"width": 4, "levels": 2}}


def config(net, conditional=False):
  config = two_player()
  config.data_options.image_size, config.conditional = 8, conditional
  if net == "stylegan2":
    config.data_options.image_size = 16
  if net == "biggan":
    config.latent.dim = 8  # two for each part of a hierarchical latent
  if net in ("sngan", "biggan"):
    config.data_options.image_size = 32
  config.generator = network(f"{net}_generator", **NETS[net])
  return config


def centred(run):
  """Moves weights around 0: positive ones alone saturate a deep generator, whose output is flat."""
  shift = lambda params: jax.tree.map(lambda x: x - 0.1, params)
  ema = {name: ema.replace(params=shift(ema.params)) for name, ema in run.state.ema.items()}
  return run._replace(state=run.state.replace(params=shift(run.state.params), ema=ema))


@pytest.mark.parametrize("net", NETS)
def test_onnxruntime_draws_what_jax_draws(net, tmp_path):
  run = untrained(config(net, conditional=net in ("dcgan", "biggan")))
  run = centred(run) if net == "biggan" else run
  told = FORMATS["onnx"].write(run, generator_of(run, noise=False), tmp_path / "g.onnx")
  assert "onnxruntime differs from JAX by" in told and (tmp_path / "g.onnx").is_file()


@pytest.mark.parametrize("net", TRANSLATORS)
def test_translators_are_converted(net, tmp_path):
  config = KINDS["cycle_gan"]()
  config.translator = network(f"{net}_translator", **TRANSLATORS[net])
  run = untrained(config)
  FORMATS["onnx"].write(run, generator_of(run, noise=False), tmp_path / "g.onnx")


def test_a_flow_of_any_number_of_steps_is_converted(tmp_path):
  run = untrained(KINDS["adversarial_flow"]())
  FORMATS["onnx"].write(run, generator_of(run, noise=False), tmp_path / "g.onnx")


def test_dropout_while_sampling_is_refused_by_name():
  run = untrained(KINDS["pix2pix"]())
  with pytest.raises(ValueError, match="no ONNX for what these layers compute: .*random_fold_in"):
    onnx.model_of(generator_of(run, noise=False))


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_a_page_draws_samples_and_asks_no_network(tmp_path):
  from playwright.sync_api import sync_playwright

  run = untrained(config("dcgan", conditional=True), tmp_path / "digits")
  generator = generator_of(run, noise=False)
  web.check(run, generator)
  web.write_page(run, generator, onnx.model_of(generator)[0], tmp_path / "page")
  told = []
  with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    page = browser.new_page()
    page.set_default_timeout(600_000)
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda r: r.url.startswith(("file:", "blob:")) or told.append(r.url))
    page.goto((tmp_path / "page" / "index.html").as_uri())
    page.get_by_text("samples in").wait_for()
    picture = lambda: page.evaluate("at('images').toDataURL()")
    first = picture()
    for move in ("at('truncation').value = 0.5", "at('walk').value = 0.5", "at('class').value = 3"):
      before = picture()
      page.evaluate(f"{move}; draw()")
      assert picture() != before
    page.get_by_role("button", name="New samples").click()
    page.wait_for_function("first => at('images').toDataURL() !== first", arg=first)
    browser.close()
  assert not told
