"""HTML that cannot be broken by what is put into it: text is escaped, markup alone is not."""

import base64
import hashlib
import html
import importlib.resources
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

VOID = {"br", "col", "img", "input", "link", "meta"}


class Markup(str):
  """Text that is HTML already; only `tag` and `join` build it."""

  __slots__ = ()


Child = Any  # text, Markup, a number, None for nothing, or an iterable of these


def tag(name: str, /, *children: Child, **attributes: Any) -> Markup:
  """Builds an element.

  Args:
    name: name of the element.
    *children: contents, escaped unless they are markup.
    **attributes: `class_="a"` is class="a", `data_run=1` is data-run="1"; True is an attribute
      without a value, None and False are none.
  """
  given = "".join(_attribute(key, value) for key, value in attributes.items())
  if name in VOID:
    return Markup(f"<{name}{given}>")
  return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[Child], between: str = "") -> Markup:
  """Joins children, escaping those that are no markup."""
  return Markup(html.escape(between).join(_child(child) for child in children))


def _attribute(key: str, value: Any) -> str:
  if value is None or value is False:
    return ""
  name = key.rstrip("_").replace("_", "-")
  return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'


def _child(child: Child) -> str:
  if child is None:
    return ""
  if isinstance(child, Markup):
    return child
  if isinstance(child, str | int | float):
    return html.escape(str(child), quote=False)
  return join(child)


def asset(name: str) -> str:
  """Loads a file of this package's assets."""
  return (importlib.resources.files("gan_jax.run.report") / "assets" / name).read_text("utf-8")


STYLES, SCRIPTS = ("uplot.min.css", "page.css"), ("uplot.min.js", "page.js")  # of a report


def document(
  title: str,
  body: Markup,
  data: Mapping[str, Any],
  *,
  styles: Sequence[str] = STYLES,
  scripts: Sequence[str] = SCRIPTS,
) -> str:
  """Builds a page that needs no other file, and that a browser lets fetch nothing.

  Args:
    title: title of the page.
    body: visible contents.
    data: data of the scripts, as JSON in an element that is not executed.
    styles: names of its style sheets, assets of this package.
    scripts: names of its scripts, likewise.

  Returns:
    The page. Its content security policy names its own style and scripts by their checksums, so
    that any other, wherever it came from, is not run.
  """
  styles, scripts = list(map(asset, styles)), list(map(asset, scripts))
  policy = (
    f"default-src 'none'; img-src data:; style-src {_checksums(styles)}; "
    f"script-src {_checksums(scripts)}; base-uri 'none'; form-action 'none'"
  )
  head = [
    tag("meta", charset="utf-8"),
    tag("meta", http_equiv="Content-Security-Policy", content=policy),
    tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
    tag("meta", name="color-scheme", content="light dark"),
    tag("meta", name="robots", content="noindex"),
    tag("title", title),
    *(Markup(f"<style>{text}</style>") for text in styles),
  ]
  text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
  end = [
    Markup(f'<script type="application/json" id="data">{text}</script>'),
    *(Markup(f"<script>{text}</script>") for text in scripts),
  ]
  page = tag("html", tag("head", head), tag("body", body, *end), lang="en")
  return f"<!doctype html>\n{page}\n"


def _checksums(texts: Iterable[str]) -> str:
  digests = (hashlib.sha256(text.encode()).digest() for text in texts)
  return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
