"""The README and docs/: short enough, no link that leads nowhere, and Python that parses."""

import ast
import importlib
import itertools
import pathlib
import re
from collections.abc import Iterator

import pytest

import gan_jax

ROOT = pathlib.Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
MOST = 8192  # bytes of the README: more is not read
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")  # of pictures too
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH = re.compile(r"`((?:gan_jax|experiments|launch|tests|docs)/[\w./]*)`")
MODULE = re.compile(r"python -m ((?:gan_jax|experiments)[\w.]*)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: pathlib.Path) -> str:
  return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: pathlib.Path) -> set[str]:
  """Computes the anchors of a page's headings as GitHub does; the second of a name ends in -1."""
  seen: dict[str, itertools.count] = {}
  found = set()
  for heading in HEADING.findall(prose(page)):
    slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
    number = next(seen.setdefault(slug, itertools.count()))
    found.add(f"{slug}-{number}" if number else slug)
  return found


def links(page: pathlib.Path) -> Iterator[tuple[pathlib.Path, str]]:
  """Lists the files and anchors that a page links to, but for those of other hosts."""
  for link in LINK.findall(prose(page)):
    if not re.match(r"[a-z]+:", link):
      path, _, anchor = link.partition("#")
      yield (page.parent / path).resolve() if path else page, anchor


def test_the_readme_is_short():
  assert (ROOT / "README.md").stat().st_size <= MOST


@each_page
def test_links_lead_somewhere(page):
  for target, anchor in links(page):
    assert target.exists(), f"there is no {target}"
    assert target.is_relative_to(ROOT), f"{target} is outside the repository"
    if anchor:
      assert anchor in anchors(target), f"{target.name} has no heading of #{anchor}"


@each_page
def test_named_files_and_modules_exist(page):
  text = page.read_text(encoding="utf-8")
  for path in PATH.findall(text):
    assert (ROOT / path).exists(), f"there is no {path}"
  for module in MODULE.findall(text):
    path = ROOT / module.rstrip(".").replace(".", "/")
    assert path.with_suffix(".py").exists() or path.is_dir(), f"there is no {module}"


@each_page
def test_python_parses(page):
  for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
    if language == "python":
      ast.parse(code, page.name)


def test_every_page_and_picture_is_linked_to():
  listed = {target for page in (PAGES[0], ROOT / "docs/README.md") for target, _ in links(page)}
  assert {page for page in DOCS if page.name != "README.md"} <= listed
  shown = {target for page in PAGES for target, _ in links(page)}
  assert {*(ROOT / "docs").glob("*.png")} <= shown


NAME = re.compile(r"(?<![\w./\"'])gan_jax((?:\.[a-z_]\w*)+)")
TEXTS = sorted((*PAGES, *(ROOT / "gan_jax").rglob("*.py"), *(ROOT / "gan_jax").rglob("*.md")))


def resolves(dotted: str) -> bool:
  """Tells whether a name is a module, or what a module has."""
  found: object = gan_jax
  path = "gan_jax"
  for part in dotted.strip(".").split("."):
    path += f".{part}"
    try:
      found = importlib.import_module(path)
    except ImportError:
      if not hasattr(found, part):
        return False
      found = getattr(found, part)
  return True


def test_names_in_prose_are_there():
  assert resolves(".game.play.play_round") and not resolves(".games")
  for path in TEXTS:
    for name in set(NAME.findall(prose(path))):  # the code of pages may be of what is to be written
      assert resolves(name), f"{path.relative_to(ROOT)}: there is no gan_jax{name}"
