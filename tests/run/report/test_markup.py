"""Markup that text cannot break, and a page that says what of it may run."""

import base64
import hashlib
import html.parser
import json
import re

import pytest

from gan_jax.run.report.markup import Markup, asset, document, join, tag


def test_text_is_escaped_and_markup_is_not():
  inner = tag("b", "a < b & c")
  assert inner == "<b>a &lt; b &amp; c</b>"
  assert tag("p", inner, [" ", 3, None, ["</p>"]]) == f"<p>{inner} 3&lt;/p&gt;</p>"
  assert isinstance(inner, Markup) and not isinstance(inner + "<", Markup)
  assert join(["<", inner], ", ") == f"&lt;, {inner}"


def test_attributes_are_escaped_and_named():
  made = tag("input", class_="a", data_run=0, aria_label='"><b>', hidden=True, value=None, on=False)
  assert made == '<input class="a" data-run="0" aria-label="&quot;&gt;&lt;b&gt;" hidden>'


class Elements(html.parser.HTMLParser):
  """Collects what elements a page has."""

  def __init__(self, text):
    super().__init__()
    self.found = []
    self.feed(text)

  def handle_starttag(self, tag, attributes):
    self.found.append((tag, dict(attributes)))


def test_data_cannot_end_their_element_and_scripts_are_named_by_their_checksums():
  evil = "</script><script>alert(1)</script><!--"
  page = document(evil, tag("p", evil), {"x": evil, "line": "\u2028"})
  scripts = [a for name, a in Elements(page).found if name == "script"]
  assert [s.get("type") for s in scripts] == ["application/json", None, None]
  data = re.search(r'id="data">(.*?)</script>', page)[1]
  assert json.loads(data)["x"] == evil
  (policy,) = (a["content"] for _, a in Elements(page).found if "http-equiv" in a)
  for name in ("uplot.min.js", "page.js", "page.css"):
    checksum = base64.b64encode(hashlib.sha256(asset(name).encode()).digest()).decode()
    assert f"'sha256-{checksum}'" in policy
  assert "default-src 'none'" in policy and "unsafe" not in policy
  with pytest.raises(ValueError):
    document("", tag("p"), {"x": float("nan")})  # no JSON


def test_the_plotting_library_is_the_one_that_is_named():
  assert "uPlot (v1.6.32)" in asset("uplot.min.js") and "MIT License" in asset("uplot.LICENSE")
  ours = asset("page.js") + asset("page.css")
  assert not re.search(r"https?://|@import|url\(", ours)


def _colors(scheme):
  light, dark = re.findall(r":root \{(.*?)\}", asset("page.css"), re.S)[:2]
  return dict(re.findall(r"--(\w+): (#\w{6})", light if scheme == "light" else dark))


def _luminance(color):
  parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
  linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
  return sum(w * x for w, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough_to_read(scheme):
  """WCAG 2.1: 4.5 for text, 3 for what is drawn."""
  colors = _colors(scheme)
  paper = _luminance(colors["paper"])
  for name, color in colors.items():
    if name in ("paper", "card", "rule", "tint", "mark"):
      continue
    light, dark = sorted((paper, _luminance(color)), reverse=True)
    least = 3 if re.fullmatch(r"c\d", name) else 4.5
    assert (light + 0.05) / (dark + 0.05) >= least, name
