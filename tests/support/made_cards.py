"""Score cards made by hand."""

from gan_jax.run.evaluation.cards.card import Card, make_card
from gan_jax.run.evaluation.evaluators.evaluator import Evaluator

JUDGE = Evaluator(
  "points",
  {"modes": "max", "kl": "min"},
  ("modes",),
  {
    "evaluator": "points",
    "backbone": {"name": "net", "sha256": "0123456789ab"},
    "real": {"data": "ring8", "split": "test", "count": 2000},
    "fake": {"count": 500, "seed": 7},
    "floor": {"kl": 0.01},
    "classes": {"ant": 0.9, "bee": 0.1},
  },
  lambda *_: {},
)


def card(
  modes=(8.0,),
  kl=None,
  *,
  checkpoint="last",
  round=600,
  ema=True,
  truncation=None,
  seeds=None,
  config="a",
) -> Card:
  """Makes a card of so many draws."""
  kl = [0.1 * (1 + i) for i in range(len(modes))] if kl is None else kl
  draws = [{"modes": m, "kl": k} for m, k in zip(modes, kl, strict=True)]
  run = {"round": round, "draws": list(seeds or range(len(draws))), "config": config, "seed": 0}
  sampled = {"ema": ema, "truncation": truncation}
  return make_card(JUDGE, draws, checkpoint=checkpoint, sampled=sampled, run=run)
