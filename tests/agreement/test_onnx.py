"""Generators as ONNX and as a page, in an environment of their own, which jax2onnx needs.

python3 -m venv onnx
onnx/bin/pip install -e '.[onnx,export]' pytest playwright pyyaml
onnx/bin/python -m pytest tests/agreement/test_onnx.py
"""

import shutil

import pytest

pytest.importorskip("jax2onnx", reason="it wants an older Orbax: see above")

from first_states import untrained
from kinds import two_player

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
}


def config(net, conditional=False):
  config = two_player()
  config.data_options.image_size, config.conditional = 8, conditional
  if net == "stylegan2":
    config.data_options.image_size = 16
  if net == "sngan":
    config.data_options.image_size = 32
  config.generator = network(f"{net}_generator", **NETS[net])
  return config


@pytest.mark.parametrize("net", NETS)
def test_onnxruntime_draws_what_jax_draws(net, tmp_path):
  run = untrained(config(net, conditional=net == "dcgan"))
  told = FORMATS["onnx"].write(run, generator_of(run, noise=False), tmp_path / "g.onnx")
  assert "onnxruntime differs from JAX by" in told and (tmp_path / "g.onnx").is_file()


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
