"""The page in a browser: it loads alone, moves by mouse and by keys, and is whole on paper."""

import contextlib
import shutil

import numpy as np
import pytest
from made_runs import made_ablation, made_run
from patience import HANG, until

from gan_jax.run.latents import sliders
from gan_jax.run.report.page import write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
QUIET = "disable-background-networking", "disable-component-update", "disable-sync", "no-first-run"
FLAGS = [f"--{flag}" for flag in ("no-sandbox", "disable-gpu", "disable-quic", *QUIET)]
EMPTY = ".plot:not(:has(canvas))"
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
SCRIPT = "</script><script>document.title='owned'</script>"


@pytest.fixture(scope="module")
def browser():
  from playwright.sync_api import sync_playwright

  with sync_playwright() as playwright:
    found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield found
    found.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
  """A page of an ablation, two methods of two seeds, a run that failed, and one that means harm."""
  folder = tmp_path_factory.mktemp("runs")
  runs = [made_run(folder / f"plain_{i}", seed=i, kl=0.3 + i / 100) for i in (0, 1)]
  runs += [made_run(folder / f"hinge_{i}", seed=i, kl=0.1 + i / 100, loss="hinge") for i in (0, 1)]
  bad = {"k": 5, "played": 100, "pictures": (100,), "stopped": f"it was {HOSTILE}"}
  runs.append(made_run(folder / "bad", **bad))
  harm = {"loss": SCRIPT, "kl": 0.9}
  rows = {f"monitor/{SCRIPT}": 1.0, "monitor/huge": 1e300, "monitor/small": 1e-300}
  runs.append(made_run(folder / HOSTILE, rows=rows, **harm))
  write([made_ablation(folder / "losses"), *runs], folder / "report.html")
  return folder / "report.html"


@pytest.fixture
def context(browser):
  """Makes contexts of the browser, closed in the end."""
  with contextlib.ExitStack() as stack:

    def new(**options):
      made = stack.enter_context(contextlib.closing(browser.new_context(**options)))
      made.set_default_timeout(1000 * HANG)
      return made

    yield new


@pytest.fixture
def opened(context, file):
  """Opens a page; in the end nothing has been complained of, nor asked of a network."""
  complaints, visited = [], []

  def go(file=file, **options):
    page = context(**options).new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: r.url.startswith("data:") or complaints.append(r.url))
    visited.append(file.as_uri())
    page.goto(file.as_uri())
    return page

  yield go
  assert complaints == visited


def names(page):
  """Lists the runs that the table shows, in order."""
  return [text.strip() for text in page.locator("#runs tbody tr:visible th").all_inner_texts()]


def draw_all(page):
  """Scrolls through the page, as curves are drawn when they come near."""
  page.evaluate("""async () => {
    for (const plot of document.querySelectorAll(".plot")) {
      plot.scrollIntoView();
      await new Promise(requestAnimationFrame);
    }
  }""")
  page.locator(EMPTY).first.wait_for(state="detached")


def test_it_loads_alone_and_runs_nothing_that_others_wrote(opened):
  page = opened()
  draw_all(page)
  assert page.title() != "owned" and not page.locator("img[src=x]").count()
  assert HOSTILE in page.inner_text("#runs") and SCRIPT in page.inner_text("#configs")
  assert f"it was {HOSTILE}" in page.inner_text("#warnings")


def test_the_policy_forbids_what_escaping_would_have_missed(context, file):
  page = context().new_page()
  page.goto(file.as_uri())
  found = []
  page.on("console", lambda message: found.append(message.text))
  page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", HOSTILE)
  page.evaluate("fetch('https://example.org').catch(() => console.log('refused'))")
  told = lambda: sum("Content Security Policy" in text for text in found) >= 2
  until(lambda: page.wait_for_timeout(50) or ("refused" in found and told()), lambda: found)
  assert page.title() != "owned"


def test_the_slider_changes_pictures_by_keys_by_mouse_and_by_itself(opened):
  page = opened()
  picture = page.locator("#samples .frames").first.locator("img:visible")
  last, first = (f"Samples of plain_0 at round {n}" for n in (400, 200))
  assert picture.get_attribute("alt") == last
  page.focus("#slider")
  page.keyboard.press("ArrowLeft")
  assert picture.get_attribute("alt") == first
  assert page.get_attribute("#slider", "aria-valuetext") == "round 200"
  box = page.locator("#slider").bounding_box()
  page.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
  assert picture.get_attribute("alt") == last and page.inner_text("#round") == "400"
  page.get_by_role("button", name="Play").click()
  page.locator("#play[aria-pressed=true]").wait_for()
  page.locator("#play[aria-pressed=false]").wait_for()
  assert picture.get_attribute("alt") == last


def test_tables_sort_by_mouse_and_by_keys(opened):
  page = opened()
  head = page.locator("#runs th", has_text="KL")
  head.get_by_role("button").click()
  assert names(page)[:2] == ["hinge_0", "hinge_1"] and names(page)[-1] == HOSTILE
  assert head.get_attribute("aria-sort") == "ascending"
  page.keyboard.press("Enter")
  assert names(page)[0] == HOSTILE and head.get_attribute("aria-sort") == "descending"
  page.locator("#runs th", has_text="state").get_by_role("button").focus()
  page.keyboard.press("Space")
  assert names(page)[-1] == "bad" and head.get_attribute("aria-sort") is None


def test_the_filter_hides_runs_in_all_of_the_page(opened):
  page = opened()
  draw_all(page)
  page.get_by_label("Filter runs").focus()
  page.keyboard.type("loss=hinge")
  assert names(page) == ["hinge_0", "hinge_1"] and page.inner_text("#filter-count") == "2 of 6 runs"
  assert page.locator("#samples figure:visible").count() == 2
  assert page.locator("#cards tbody tr:visible").count() == 2
  assert page.locator("#ablation-1-table tbody tr:visible").count() == 6
  page.fill("#filter", "k=5")
  assert names(page) == ["bad"]
  page.fill("#filter", "-failed seed=1")
  assert names(page) == ["plain_1", "hinge_1"]
  page.fill("#filter", "dim=64 kl 0.31")
  assert names(page) == ["plain_1"]
  page.fill("#filter", "")
  assert len(names(page)) == 6


def test_variants_of_an_ablation_are_sorted_and_filtered(opened):
  page = opened()
  first = lambda: page.locator("#ablation-1-table tbody tr:visible").first.inner_text().split()[:2]
  assert first() == ["non_saturating", "none"]  # the baseline
  page.locator("#ablation-1-table").get_by_role("button", name="last").click()
  assert first() == ["wasserstein", "none"]
  page.get_by_label("Filter variants").focus()
  page.keyboard.type("loss=hinge better")
  assert first() == ["hinge", "none"]
  assert page.get_by_text("2 of 6 variants").is_visible() and len(names(page)) == 6
  cells = page.locator("table.matrix td")
  assert cells.count() == 6 and "▲ better" in cells.nth(2).inner_text()


def test_curves_show_their_values_under_the_mouse_and_to_keys(opened):
  page = opened()
  chart = page.locator("#curves figure", has_text="generator: loss")
  plot = chart.locator(".plot")
  plot.scroll_into_view_if_needed()
  plot.locator("canvas").wait_for()
  plot.hover(position={"x": 200, "y": 90})
  tip = chart.locator(".tip")
  assert tip.inner_text().startswith("round ") and "plain" in tip.inner_text()
  page.mouse.move(0, 0)
  assert not tip.is_visible()
  plot.focus()
  page.keyboard.press("End")
  assert tip.inner_text().startswith("round 400\n")
  page.keyboard.press("ArrowLeft")
  assert tip.inner_text().startswith("round 380\n")
  page.keyboard.press("Escape")
  assert not tip.is_visible()


def test_methods_are_hidden_and_shown_and_bands_give_way_to_runs(opened):
  page = opened()
  chart = page.locator("#curves figure", has_text="generator: loss")
  chart.scroll_into_view_if_needed()
  chart.locator("canvas").wait_for()

  def told():
    chart.locator(".plot").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    return chart.locator(".tip").inner_text()

  assert "hinge\n" in told() and "hinge_0" not in told()
  single = page.get_by_role("button", name="Single runs")
  single.click()
  assert "hinge_0" in told() and single.get_attribute("aria-pressed") == "true"
  page.locator("#curves .legend button", has_text="hinge").click()
  assert "hinge" not in told() and "plain_1" in told()


def test_everything_drawn_is_said_as_well(opened):
  page = opened()
  draw_all(page)
  assert all(image.get_attribute("alt") for image in page.locator("img").all())
  for chart in page.locator("figure.chart").all():
    plot = chart.locator(".plot")
    assert plot.get_attribute("role") == "img" and plot.get_attribute("aria-label")
    assert plot.locator("canvas").count() or not chart.locator("tbody tr").count()
    assert chart.locator("details table caption").count() == 1
  assert page.locator("canvas").count() == page.locator(".plot canvas").count() > 5
  unnamed = "button:not([aria-label])"
  assert all(b.inner_text().strip() for b in page.locator(unnamed).all())


def test_a_phone_scrolls_only_downwards_by_day_and_by_night(opened):
  page = opened(viewport={"width": 360, "height": 740})
  draw_all(page)
  page.evaluate("document.querySelectorAll('details').forEach(part => (part.open = true))")
  for scheme, paper in {"light": "rgb(252, 252, 251)", "dark": "rgb(21, 24, 27)"}.items():
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
  assert not page.locator(EMPTY).count()  # the curves have been drawn anew


def test_paper_shows_everything_and_no_controls(opened, tmp_path):
  page = opened()
  page.emulate_media(media="print")
  page.locator(EMPTY).first.wait_for(state="detached")
  assert all(image.is_visible() for image in page.locator("img").all())
  assert all(table.is_visible() for table in page.locator("table").all())
  assert all(code.is_visible() for code in page.locator("pre").all())
  for control in ("nav", "#slider", "#play", "#filter", ".copy", ".mode"):
    assert not page.locator(control).first.is_visible()
  page.emulate_media(media="screen")
  page.locator("#curves details table").first.wait_for(state="hidden")
  page.pdf(path=tmp_path / "page.pdf")
  assert (tmp_path / "page.pdf").stat().st_size > 20_000


def test_commands_are_copied(opened):
  page = opened(permissions=["clipboard-read", "clipboard-write"])
  page.locator("#reproduce .copy").first.click()
  page.get_by_text("Copied").wait_for()
  copied = page.evaluate("navigator.clipboard.readText()")
  assert copied.startswith("gan_jax ablate --config=losses.py --workdir=/")


def test_sliders_of_directions_move_by_keys_and_go_back(opened, tmp_path):
  images = np.arange(2 * 5, dtype=np.uint8).reshape(2, 1, 5, 1, 1, 1) * np.ones((4, 4, 1), np.uint8)
  (tmp_path / "page.html").write_text(sliders.page(images, 2.0, ["", ""], "Directions", ""))
  page = opened(tmp_path / "page.html")
  shown = lambda: [img.get_attribute("alt") for img in page.locator("img:visible").all()]
  names = lambda *steps: [f"Direction {i}, {x} standard deviations" for i, x in enumerate(steps)]
  assert shown() == names("0", "0")
  for _ in range(3):  # to the button, and on to the second slider
    page.keyboard.press("Tab")
  page.keyboard.press("ArrowLeft")
  slider = page.get_by_role("slider", name="Direction 1")
  assert shown() == names("0", "-1")
  assert slider.get_attribute("aria-valuetext") == "-1 standard deviations"
  page.get_by_role("slider", name="Direction 0").press("End")
  assert shown() == names("+2", "-1")
  page.get_by_role("button", name="Back to the middle").click()
  assert shown() == names("0", "0") and slider.input_value() == "2"
