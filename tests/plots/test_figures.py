"""Figures hold what was asked for, in colours that can be told apart, and become files."""

import io
import itertools
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from gan_jax import plots
from gan_jax.plots import matrices

SVG = "{http://www.w3.org/2000/svg}"
STYLES = ("light", "dark")
RING = np.stack([np.cos(np.arange(64)), np.sin(np.arange(64))], axis=1)
CIRCLE = plots.PhasePortrait({"play": RING}, plots.Field([-1, 0, 1], [-1, 1], np.ones((2, 3, 2))))
LINE = plots.DiscriminatorPlot(
  [0, 1, 2], [0.2, 0.5, 0.001], [0.2, 0.1, 0.002], {"D": [0.5, 0.8, 0.3]}
)

FIGURES = {
  "curves": lambda style: plots.curves(
    {"modes": {"a": np.arange(6).reshape(3, 2), "b": [1, 2, 3]}, "kl": {"a": [3, 2, 1]}},
    style=style,
  ),
  "scatter_density": lambda style: plots.scatter_density(
    {"a": RING, "b": RING / 2}, real=RING, style=style
  ),
  "phase_portraits": lambda style: plots.phase_portraits({"a": CIRCLE, "b": CIRCLE}, style=style),
  "discriminator_curves": lambda style: plots.discriminator_curves(
    {"a": LINE, "b": LINE}, style=style
  ),
  "matrix": lambda style: plots.matrix(
    [[1.0, np.inf]], [[0.5, 0.0]], [[1.5, 9.0]], rows=["x"], columns=["a", "b"], style=style
  ),
  "image_grids": lambda style: plots.image_grids(
    {"a": np.zeros((4, 5, 5, 3), np.uint8)}, style=style
  ),
}


# --- colours --------------------------------------------------------------------------------------


def contrast(a, b) -> float:
  """WCAG 2.1: (L + 0.05) / (L' + 0.05)."""
  low, high = sorted(matrices.luminance(np.array(to_rgb(color))) for color in (a, b))
  return (high + 0.05) / (low + 0.05)


def test_contrast_is_what_it_is_known_to_be():
  assert contrast("white", "black") == pytest.approx(21)
  assert contrast("#777777", "white") == pytest.approx(4.48, abs=0.005)  # an example of WebAIM's


# How colours look to who lacks one kind of cone. Machado et al. 2009, severity 1, of linear RGB.
EYES = {
  "usual": np.eye(3),
  "deuteranopia": np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
  ),
  "protanopia": np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.052]]
  ),
}
TO_XYZ = np.array(
  [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.95]]
)


def lab(color, eye) -> np.ndarray:
  """CIE L*a*b* of a colour, white being D65."""
  rgb = np.array(to_rgb(color))
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  xyz = TO_XYZ @ np.clip(eye @ linear, 0, 1) / TO_XYZ.sum(axis=1)
  f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
  return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("style", STYLES)
def test_colours_can_be_told_apart(style: str, eye: str):
  seen = [lab(color, EYES[eye]) for color in plots.THEMES[style].series]
  assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 16


@pytest.mark.parametrize("style", STYLES)
def test_colours_stand_out(style: str):
  look = plots.THEMES[style]
  assert contrast(look.text, look.background) > 7
  for color in (*look.series, plots.GREY):
    assert contrast(color, look.background) >= 3


@pytest.mark.parametrize("style", STYLES)
def test_a_figure_is_in_its_style(style: str):
  look = plots.THEMES[style]
  for name, make in FIGURES.items():
    figure = make(style)
    assert figure.get_facecolor()[:3] == pytest.approx(to_rgb(look.background)), name
    for axes in figure.axes:
      written = [axes.title, axes.xaxis.label, *axes.get_xticklabels()]
      colors = {text.get_color() for text in written if text.get_text()}
      assert colors <= {look.text}, name
    for line in (line for axes in figure.axes for line in axes.lines):
      assert contrast(line.get_color(), look.background) >= 3, name


def test_a_style_ends_where_it_ends():
  import matplotlib

  before = dict(matplotlib.rcParams)
  with plots.style("dark") as look:
    assert matplotlib.rcParams["text.color"] == look.text
  FIGURES["curves"]("dark")
  assert dict(matplotlib.rcParams) == before


def test_more_series_than_colours_differ_in_their_dashes():
  figure = plots.curves({"": {f"{i}": [1, 2] for i in range(20)}})
  drawn = {(line.get_color(), str(line._dash_pattern)) for line in figure.axes[0].lines}
  assert len(drawn) == 20


# --- what is drawn --------------------------------------------------------------------------------


def test_a_line_of_means_within_a_standard_error():
  values = np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 8.0]])
  axes = plots.curves({"modes": {"hinge": values}}, x=[0, 10, 20]).axes[0]
  (line,), (band,) = axes.lines, axes.collections
  np.testing.assert_array_equal(line.get_xydata(), [[0, 2], [10, 2], [20, 4]])
  assert line.get_label() == "hinge" and axes.get_title(loc="left") == "modes"
  edges = {tuple(v) for v in np.round(band.get_paths()[0].vertices, 6).tolist()}
  # Of two values a ± b the standard error is b.
  assert edges == {(0, 1), (0, 3), (10, 2), (20, 0), (20, 8)}
  np.testing.assert_allclose(band.get_facecolor()[0][:3], to_rgb(line.get_color()))


def test_a_mean_stops_where_a_seed_does_and_a_median_goes_on():
  values = np.array([[1.0, 2.0, 3.0], [1.0, np.inf, 4.0], [1.0, np.nan, 9.0]])
  draw = lambda band: plots.curves({"kl": {"a": values}}, band=band).axes[0].lines[0].get_ydata()
  assert np.isfinite(draw("error")).tolist() == [True, False, False]
  np.testing.assert_array_equal(draw("quartiles"), [2, 4, np.nan])


def test_panels_levels_and_scales():
  found = {"V": {"a": [1, 2]}, "norm": {"a": ([5, 6], [1, 10])}}
  left, right = plots.curves(found, log=["norm"], lines={"V": ("-log 4", -1.386)}).axes
  assert left.lines[1].get_ydata()[0] == -1.386 and left.lines[1].get_label() == "-log 4"
  assert (left.get_yscale(), right.get_yscale()) == ("linear", "log")
  assert right.lines[0].get_xdata().tolist() == [5, 6]


def test_panels_fill_rows_and_leave_no_empty_ones():
  figure, made = plots.panels(list("abcde"), columns=2)
  assert figure.axes == list(made.values()) and len(made) == 5
  places = [axes.get_subplotspec() for axes in figure.axes]
  assert [(s.rowspan.start, s.colspan.start) for s in places] == [
    (0, 0),
    (0, 1),
    (1, 0),
    (1, 1),
    (2, 0),
  ]


def test_one_legend_for_panels_that_show_the_same():
  same = plots.curves({"a": {"x": [1, 2]}, "b": {"x": [1, 2]}})
  differ = plots.curves({"a": {"x": [1, 2]}, "b": {"y": [1, 2]}})
  named = lambda legend: [text.get_text() for text in legend.get_texts()]
  assert [named(legend) for legend in same.legends] == [["x"]]
  assert not differ.legends
  assert [named(axes.get_legend()) for axes in differ.axes] == [["x"], ["y"]]


def test_clouds_share_a_scale_and_leave_out_what_is_not_finite():
  broken = np.concatenate([RING, [[np.nan, 0.0]]])
  figure = plots.scatter_density({"a": broken, "none": np.full((3, 2), np.inf)}, real=2 * RING)
  left, right = figure.axes
  assert left.get_xlim() == right.get_xlim() == pytest.approx((-3.2, 3.2), abs=0.05)
  data, samples = left.collections
  np.testing.assert_array_equal(samples.get_offsets(), RING)
  np.testing.assert_array_equal(data.get_offsets(), 2 * RING)
  density = left.images[0].get_array()
  assert density.max() > 0 and right.images[0].get_array().max() == 0
  assert density.shape == (120, 120)


def test_a_density_is_where_the_points_are():
  points = np.full((50, 2), (0.5, -0.5))
  axes = plots.scatter_density({"a": points}, limits=((-1, 1), (-1, 1))).axes[0]
  row, column = np.unravel_index(np.argmax(axes.images[0].get_array()), (120, 120))
  assert (column / 120 * 2 - 1, row / 120 * 2 - 1) == pytest.approx((0.5, -0.5), abs=0.03)


def test_portraits_have_paths_arrows_and_the_equilibrium():
  axes = plots.phase_portraits({"a": CIRCLE}, rest=(0.0, 1.0)).axes[0]
  path, start, rest = axes.lines
  np.testing.assert_array_equal(path.get_xydata(), RING)
  np.testing.assert_array_equal(start.get_xydata(), RING[:1])
  np.testing.assert_array_equal(rest.get_xydata(), [[0, 1]])
  arrows = axes.collections[0]
  assert (arrows.X.tolist(), arrows.Y.tolist()) == ([-1, 0, 1] * 2, [-1] * 3 + [1] * 3)
  low, high = axes.get_ylim()
  assert (low + high) / 2 == pytest.approx(1) and low < -1 and high > 1


def test_a_discriminator_is_drawn_where_there_are_examples():
  axes = plots.discriminator_curves({"a": LINE}).axes[0]
  drawn = {line.get_label(): line for line in axes.lines}
  np.testing.assert_array_equal(drawn["D"].get_ydata(), [0.5, 0.8, np.nan])
  np.testing.assert_array_equal(drawn["data"].get_ydata(), [0.2, 0.5, 0.001])
  np.testing.assert_array_equal(drawn["model"].get_ydata(), [0.2, 0.1, 0.002])
  mapped = plots.discriminator_curves({"a": LINE._replace(mapping=([-1.0, 1.0], [0.5, 5.0]))}).axes[
    0
  ]
  (arrow,) = mapped.texts  # the other ends outside of the panel
  assert arrow.xy == (0.5, -0.12) and arrow.xyann == (0, -0.42)


def test_cells_say_mean_and_interval():
  figure = plots.matrix(
    [[7.5, np.nan], [2.0, 8.0]],
    [[7.1, 0.0], [1.0, 8.0]],
    [[7.9, 0.0], [3.0, 8.0]],
    rows=["minimax", "hinge"],
    columns=["none", "r1"],
    title="modes",
    notes=[["", "3 of 3 failed"], ["", ""]],
  )
  (axes,) = figure.axes
  told = {text.get_position(): text.get_text() for text in axes.texts}
  assert told == {
    (0, 0): "7.50\n7.10 to 7.90",
    (1, 0): "3 of 3 failed",
    (0, 1): "2.0\n1.0 to 3.0",
    (1, 1): "8",
  }
  assert [t.get_text() for t in axes.get_yticklabels()] == ["minimax", "hinge"]
  assert [t.get_text() for t in axes.get_xticklabels()] == ["none", "r1"]
  assert matrices.cell(3e-5, 2e-5, 4.1e-5) == "3e-05\n2e-05 to 4.1e-05"
  assert matrices.cell(0.5, 0.4996, 0.5004) == "0.5000\n0.4996 to 0.5004"


@pytest.mark.parametrize("better", ["max", "min"])
def test_the_brightest_cell_is_the_best_and_all_can_be_read(better: str):
  mean = np.linspace(0, 1, 30).reshape(5, 6)
  names = dict(rows="abcde", columns="abcdef", better=better)
  axes = plots.matrix(mean, mean - 0.1, mean + 0.1, **names).axes[0]
  cells = axes.images[0].get_array()
  light = np.array([[matrices.luminance(color) for color in row] for row in cells])
  assert (light.argmax() == mean.argmax()) == (better == "max")
  assert (light.argmin() == mean.argmin()) == (better == "max")
  for text in axes.texts:
    column, row = text.get_position()
    assert contrast(text.get_color(), cells[row, column]) > 4.5


def test_images_are_shown_as_they_are():
  images = np.random.default_rng(0).integers(256, size=(4, 6, 5, 1)).astype(np.uint8)
  axes = plots.image_grids({"round 7": images}, in_row=4).axes[0]
  np.testing.assert_array_equal(axes.images[0].get_array(), plots.grid(images, 4)[..., 0])
  assert axes.images[0].get_clim() == (0, 255) and axes.get_title(loc="left") == "round 7"


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIGURES)
def test_figures_become_files(tmp_path: pathlib.Path, name: str):
  figure = FIGURES[name]("light")
  plots.save(figure, tmp_path / "new" / "a.png", dpi=50)
  with Image.open(tmp_path / "new" / "a.png") as image:
    width, height = figure.get_size_inches() * 50
    assert image.size == pytest.approx((width, height), abs=1)
    assert np.asarray(image.convert("RGB")).std() > 5
  plots.save(figure, tmp_path / "a.svg")
  root = ElementTree.parse(tmp_path / "a.svg").getroot()
  assert root.tag == f"{SVG}svg"
  texts = {text.text for text in root.iter(f"{SVG}text")}
  assert {axes.get_title(loc="left") for axes in figure.axes} - {""} <= texts


def test_the_same_figure_is_the_same_file(tmp_path: pathlib.Path):
  for name in ("a", "b"):
    plots.save(FIGURES["scatter_density"]("dark"), tmp_path / f"{name}.svg")
  assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
  assert {path.name for path in tmp_path.iterdir()} == {"a.svg", "b.svg"}


def test_a_notebook_shows_a_figure():
  with Image.open(io.BytesIO(FIGURES["matrix"]("light")._repr_png_())) as image:
    assert image.format == "PNG"


def test_figures_move(tmp_path: pathlib.Path):
  frames = [plots.scatter_density({"a": scale * RING}, real=RING) for scale in (1.0, 0.5, 0.1)]
  moving = plots.animation(frames, seconds=0.25)
  moving.save(tmp_path / "a.gif")
  with Image.open(tmp_path / "a.gif") as image:
    assert image.n_frames == 3 and image.info["duration"] == 250
    image.seek(2)
    assert image.info["duration"] == 2250
  assert str(moving) == f"Animation({len(moving.gif)} bytes)"  # a notebook keeps it as well
  assert moving._repr_html_().startswith('<img src="data:image/gif;base64,R0lGOD')


def test_importing_costs_nothing():
  code = "import sys, gan_jax.plots; print({'matplotlib', 'PIL', 'scipy'} & set(sys.modules))"
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == "set()"


# --- what cannot be drawn -------------------------------------------------------------------------

FLAT = np.zeros((2, 2))


@pytest.mark.parametrize(
  ("draw", "message"),
  [
    (lambda: plots.curves({"a": {"x": np.zeros((2, 2, 2))}}), r"'x': expected x \[n\]"),
    (lambda: plots.curves({"a": {"x": [1, 2]}}, x=[1, 2, 3]), r"got \[3\] and \[2\]"),
    (lambda: plots.curves({"a": {"x": [1]}}, band="wide"), "unknown band 'wide': expected one of"),
    (lambda: plots.curves({}), "panels need titles"),
    (lambda: plots.panels(["a", "a"]), "each of them once"),
    (
      lambda: plots.scatter_density({"a": np.zeros((4, 3))}),
      r"'a': expected points \[n, 2\], got \[4, 3\]",
    ),
    (
      lambda: plots.phase_portraits({"a": plots.PhasePortrait({"p": [1, 2]})}),
      r"path 'p': expected \[t, 2\]",
    ),
    (
      lambda: plots.phase_portraits({"a": plots.PhasePortrait({}, plots.Field([1], [1], FLAT))}),
      r"expected velocities \[1, 1, 2\]",
    ),
    (
      lambda: plots.discriminator_curves({"a": LINE._replace(data=[1])}),
      r"expected x, data and model \[n\]",
    ),
    (
      lambda: plots.discriminator_curves({"a": LINE._replace(discriminators={"D": [1]})}),
      r"'D': expected \[3\]",
    ),
    (
      lambda: plots.matrix(FLAT, FLAT, FLAT, rows=["a"], columns=["b", "c"]),
      "a matrix of 1 rows and 2 columns",
    ),
    (
      lambda: plots.matrix(FLAT, FLAT, FLAT, rows="ab", columns="cd", better="up"),
      "expected 'max' or 'min'",
    ),
    (
      lambda: plots.image_grids({"a": np.zeros((2, 4, 4, 1))}),
      r"expected images uint8 \[n, H, W, C\]",
    ),
    (lambda: plots.save(FIGURES["image_grids"]("light"), "a.pdf"), r"written as .png or .svg"),
    (lambda: plots.curves({"a": {"x": [1]}}, style="sepia"), "unknown style 'sepia'"),
    (lambda: plots.animation([]), "figures of one size"),
  ],
)
def test_what_cannot_be_drawn_is_said(draw, message: str):
  with pytest.raises(ValueError, match=message):
    draw()


def test_a_legend_of_many_long_names_stays_within_the_figure():
  names = [f"f_gan_squared_hellinger_alternative_{i}" for i in range(24)]
  figure = plots.curves({title: {name: [1.0, 2.0] for name in names} for title in "abcdefg"})
  plots.pixels(figure)
  (legend,) = figure.legends
  assert 0 <= legend.get_window_extent().x0 < legend.get_window_extent().x1 <= figure.bbox.width
