"""Runs are played without pictures, which take longer to draw than a short run to play."""

import numpy as np
import pytest

from gan_jax import plots
from gan_jax.run.training.log.logger import Logger


@pytest.fixture(scope="module", autouse=True)
def no_pictures():
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(plots, "history", lambda *_: None)
    patched.setattr(Logger, "_picture", lambda *_: np.zeros((2, 2, 3), np.uint8))
    yield
