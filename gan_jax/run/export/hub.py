"""A folder of a generator as model hubs take it: README with scores, samples, weights, function."""

import html
import json
import math
import pathlib
from typing import Any

from gan_jax import __version__
from gan_jax.files import atomic_write
from gan_jax.run.evaluation.cards.card import Card, format_card
from gan_jax.run.export.generator import Generator
from gan_jax.run.export.stablehlo import serialized, usage
from gan_jax.run.export.weights import card_of, without_folder, write_weights
from gan_jax.run.results.run import Run

README, SAMPLES, FUNCTION = "README.md", "samples.png", "sampler.jax"


def publish(run: Run, generator: Generator, folder: pathlib.Path) -> list[str]:
  """Writes the folder of a generator; uploading it is the user's.

  Args:
    run: the run that it is of, whose sampler it is.
    generator: the generator.
    folder: folder that is new, or empty.

  Returns:
    The files written.
  """
  name, card = run.folder.workdir.resolve().name, card_of(run, generator)
  written = [str(path) for path in write_weights(run, generator, folder)]
  with atomic_write(folder / FUNCTION) as temporary:
    temporary.write_bytes(serialized(generator))
  run.save_samples(64, png=str(folder / SAMPLES), ema=generator.averaged)
  with atomic_write(folder / README) as temporary:
    temporary.write_text(readme(name, run, generator, card), encoding="utf-8")
  return [*written, *(str(folder / name) for name in (FUNCTION, SAMPLES, README))]


def readme(name: str, run: Run, generator: Generator, card: Card | None) -> str:
  """Formats the README: metadata as hubs read them, how it was made, how it is opened."""
  config, played = run.config, int(run.state.round)
  data = without_folder(config.data) or "data without a name"
  # JSON is YAML.
  head = json.dumps(metadata(name, data, card), indent=2, ensure_ascii=False)
  scores = format_card(card) if card else "not scored"
  if card and "original" in card.run:
    scores += f"; card {card.run['original']} of the run, whose data are named without their folder"
  return f"""---
{head}
---

# {html.escape(name, quote=False)}

A generator of `{data}`, {played:,} rounds of a game of kind `{config.game.name}`, trained by
gan_jax {__version__}. `config.json` holds its config.

![Samples](samples.png)

Scores: {scores}

With `pip install jax flatbuffers` and nothing else:

```python
{usage(generator, FUNCTION)}
```

`model.safetensors` holds the weights by dotted names, those of flax.
"""


def metadata(name: str, data: str, card: Card | None) -> dict[str, Any]:
  """Builds the metadata of a README: tags, and as `model-index` the scores of a card.

  Args:
    name: name of the model.
    data: name of its data.
    card: its score card; None without one.
  """
  task = "unconditional-image-generation"
  head: dict[str, Any] = {"library_name": "gan_jax", "tags": ["gan", "jax"], "pipeline_tag": task}
  if card is None:
    return head
  real, fake = card.protocol.get("real") or {}, card.protocol.get("fake") or {}
  features = (card.protocol.get("backbone") or {}).get("name", "the data themselves")
  how = f"{fake.get('count')} samples, features of {features}, {card.protocol['checkpoint']}"
  metrics = [
    {"type": score, "name": f"{score} ({how})", "value": card.mean(score)}
    for score in card.scores
    if math.isfinite(card.mean(score))  # JSON has no others
  ]
  of = str(real.get("data", data))
  dataset = {"type": of, "name": of, "split": str(real.get("split", "train"))}
  result = {"task": {"type": task}, "dataset": dataset, "metrics": metrics}
  return {**head, "model-index": [{"name": name, "results": [result]}]}
