"""Pictures that runs draw of their samples and of what they measured."""

import math

import numpy as np
import pytest

from gan_jax import plots
from gan_jax.plots import lines


def digits(n: int, channels: int = 1, size: int = 5) -> np.ndarray:
  """Images that are n, n - 1, ..., 1 all over."""
  return np.tile(
    np.arange(n, 0, -1, dtype=np.uint8)[:, None, None, None], (1, size, size, channels)
  )


@pytest.mark.parametrize(
  ("n", "columns", "shape"),
  [(1, None, (5, 5)), (4, None, (11, 11)), (5, None, (11, 17)), (6, 2, (17, 11)), (3, 5, (5, 29))],
)
def test_grids(n: int, columns: int | None, shape: tuple[int, int]):
  grid = plots.grid(digits(n, channels=3), columns)
  assert grid.shape == (*shape, 3) and grid.dtype == np.uint8
  places = grid[2::6, 2::6, 0].ravel()  # the middle of each image, row by row
  np.testing.assert_array_equal(places[:n], np.arange(n, 0, -1))
  assert (places[n:] == 0).all()


def test_grid_draws_a_pixel_between_images():
  assert (plots.grid(np.full((4, 5, 5, 1), 9, np.uint8))[5] == 0).all()


@pytest.mark.parametrize("with_data", [True, False])
@pytest.mark.parametrize("bad", [0, 30, 50])
def test_scatter(with_data: bool, bad: int):
  fake = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
  fake[:bad] = np.nan  # of a generator that diverged
  drawn = plots.picture(fake, real=fake[::-1] + 1 if with_data else None)
  assert drawn.shape == (480, 480, 3) and drawn.dtype == np.uint8
  assert drawn.std() > 5


def curve_rows(n: int = 20, **more: float) -> list[dict]:
  return [
    {"round": 10 * i, "generator/loss": i, "discriminator/loss": -i, "D_real": 0.5, **more}
    for i in range(1, n + 1)
  ]


def panels(rows: list[dict], **scores: str) -> dict[str, list[str]]:
  return {title: list(series) for title, series in lines.measured(rows, scores).items()}


@pytest.mark.parametrize("dimensions", [1, 3])
def test_points_of_other_dimensions(dimensions: int):
  x = np.random.default_rng(0).normal(size=(50, dimensions))
  drawn = [plots.scatter(x), plots.scatter(x, x + 3), plots.scatter(np.full_like(x, np.nan), x)]
  assert all(image.shape == (480, 480, 3) for image in drawn)
  assert (drawn[0] != drawn[1]).any()


def test_curves_have_a_panel_for_what_was_measured():
  assert panels(curve_rows()) == {
    "loss": ["discriminator", "generator"],
    "D(x) and D(G(z))": ["D(x)"],
  }
  more = {"V": -1.2, "a/gradient_norm": 1.0, "score/class_kl": 0.3, "images_per_second": 9.0}
  drawn = panels(curve_rows(**more), class_kl="score/class_kl")
  assert list(drawn)[2:] == ["V(D, G)", "gradient norm", "class kl"]


def test_curves_show_every_player():
  rows = [{"round": i, **{f"{p}/loss": 1.0 for p in ("d_a", "d_b", "g")}} for i in range(3)]
  assert panels(rows) == {"loss": ["d_a", "d_b", "g"]}


def test_monitors_are_no_players():
  rows = [
    {"round": i, "generator/gradient_norm": 1.0, "monitor/gradient_norm": 2.0} for i in (1, 2)
  ]
  assert panels(rows) == {"gradient norm": ["generator"]}


def test_curves_leave_out_what_is_not_finite():
  rows = [{"round": i, "V": v} for i, v in enumerate([1.0, math.nan, math.inf, 2.0])]
  x, y = lines.measured(rows)["V(D, G)"]["V"]
  assert x.tolist() == [0, 3] and y.tolist() == [1.0, 2.0]


def test_curves_are_drawn():
  few, more = (
    plots.history(curve_rows()),
    plots.history(curve_rows(V=-1.3, **{"score/kl": 0.3}), {"kl": "score/kl"}),
  )
  assert few is not None and more is not None
  assert few.dtype == np.uint8 and few.shape[2] == 3
  assert more.shape[0] == 2 * few.shape[0]  # four panels take two rows
  assert few.std() > 5
  for rows in ([], curve_rows(1), [{"round": 1}, {"round": 2}]):
    assert plots.history(rows) is None
