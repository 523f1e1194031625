"""What layers read of a network's examples: which of the global batch they are.

`game.forward` tells it in the collection `EXAMPLES`: in training the `index` and `count` of a
microbatch, and under a mapped axis the `device`, the number of `devices`, and how many `parts` the
batch has, one after the other; in sampling the `keys` of examples; for standing statistics the
`momentum`. What is not told has its default.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn

from gan_jax.game.random import EXAMPLES


def read_examples(module: nn.Module) -> Callable[..., Any]:
  """Returns (name, default) -> what the network is told; to be called within a `__call__`."""
  assert module.scope is not None
  # Of the root, as the collection is of the whole network's batch and not of this module.
  return functools.partial(module.scope.root.get_variable, EXAMPLES)
