"""The folder with one small data set of every kind, written once for all tests of this room."""

import pytest
import small_sets


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
  root = tmp_path_factory.mktemp("data")
  small_sets.write_all(root)
  return str(root)
