"""Data sets and minibatches.

    source = load("mnist10k")            # what there is
    batches = Batches(source, 64, seed=0)  # in which order it comes
    for batch in batches.iterate(): ...  # {"x": float32 [64, 28, 28, 1], "y": int32 [64]}

TFDS, grain and Pillow are imported only when they are used.
"""

from gan_jax.data.batches import Batch, Batches
from gan_jax.data.domains import AnyBatches, Domains
from gan_jax.data.pixels import (
  UINT8,
  Scale,
  kind_of,
  stored_levels,
  to_float,
  to_levels,
  to_picture,
  to_stored,
  to_uint8,
)
from gan_jax.data.registry import KINDS, OPTIONS_OF, check_name, load
from gan_jax.data.source import (
  NoSplitError,
  Options,
  Raw,
  Source,
  require_labels,
  table,
  warn_unseen,
)
from gan_jax.data.sources.endless import (
  GRID25,
  LINE4,
  MIXTURES,
  RING8,
  Mixture,
  mixture_source,
)
from gan_jax.data.splits import fingerprint, first, hold_out, take
from gan_jax.data.vicinity import vicinal
