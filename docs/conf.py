"""The site of docs/, notebooks and public names, which `launch/docs` builds; sources: the root."""

import typing

import gan_jax

project = "gan_jax"
author = "the authors of gan_jax"
version = release = gan_jax.__version__
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "docs/**", "experiments/notebooks/*.ipynb"]
exclude_patterns = ["docs/conf.py", ".*", "build", "runs", "gan_jax", "tests"]  # not walked through
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"gan_jax {version}"
myst_heading_anchors = 4  # the names by which pages link to each other, as GitHub makes them
nb_execution_mode = "off"  # notebooks are shown as they ran
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # Args say what they are
autodoc_preserve_defaults = True
napoleon_use_ivar = True

_FIELD = type(typing.NamedTuple("Pair", [("first", int)]).first)


def skip(app, what, name, obj, skip, options):
  """Leaves out the fields of tuples, which the docstrings of their classes describe."""
  return True if isinstance(obj, _FIELD) else None


def as_rst(app, what, name, obj, options, lines):
  """Docstrings show code by indenting it, and formulas as they are."""
  found, is_code = [], False
  for before, line in zip(["", *lines], lines, strict=False):
    is_indented = line.startswith("    ")
    if what == "module" and is_indented and not before.strip() and not is_code:
      found += ["::", ""]
      is_code = True
    elif line.strip() and not is_indented:
      is_code = False
    found.append(line if is_code else line.replace("|", r"\|").replace("**", r"\*\*"))
  lines[:] = found


def setup(app):
  app.connect("autodoc-skip-member", skip)
  app.connect("autodoc-process-docstring", as_rst, priority=400)  # before napoleon
