"""Runs are played without pictures."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def without_pictures(no_pictures):
  pass
