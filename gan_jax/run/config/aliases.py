"""Short names that the field uses, and ours: each is replaced where it comes in, and nowhere later.

A config, a row and a card hold our names alone, so that `lsgan` and `least_squares` are one loss.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

# A whole schedule, for errors and docs.
SCHEDULE = "{'schedule': 'cosine_decay_schedule', 'init_value': 2e-4, 'decay_steps': 9000}"
METRICS = {
  "fid": "frechet",
  "kid": "kernel",
  "is": "inception_score",
  "ppl": "path_length",
  "cas": "accuracy_score",
  "sfid": "spatial_frechet",
  "intra_fid": "class_frechet",
  "swd": "sliced_wasserstein",
  "cmmd": "rbf_mmd",
}
LOSSES = {
  "mmgan": "minimax",
  "nsgan": "non_saturating",
  "lsgan": "least_squares",
  "wgan": "wasserstein",
  "rpgan": "relativistic",
  "rsgan": "relativistic",
  "ragan": "relativistic_average",
  "rasgan": "relativistic_average",
  "rahinge": "relativistic_average_hinge",
  "rahingegan": "relativistic_average_hinge",
  "ralsgan": "relativistic_average_least_squares",
}
DTYPES = {
  "bf16": "bfloat16",
  "fp16": "float16",
  "f16": "float16",
  "half": "float16",
  "fp32": "float32",
  "f32": "float32",
}
_SHORT = {"loss": LOSSES, "metric": METRICS, "dtype": DTYPES}
# Names that others give to what is another thing here, or none, with what to type.
ELSEWHERE = {
  "lpips": "LPIPS is a distance of two images, and no score of many; how far fakes are apart for "
  "the same network, over real images, is --metrics=diversity --features=vgg16 (LPIPS itself: "
  "gan_jax.metrics.features.vgg16.lpips)",
  "wgan_gp": "it is two keys: --config.loss=wasserstein --config.regularizers.gradient_penalty=10",
  "r3gan": "it is three keys: --config.loss=relativistic --config.regularizers.r1=1 "
  "--config.regularizers.r2=1",
  **dict.fromkeys(
    ("precision", "recall", "density", "coverage"), "it is one of the scores of --metrics=prdc"
  ),
}


def canonical(key: str, value: Any) -> Any:
  """Replaces a short name by ours, where a key of the config holds such names.

  Args:
    key: dotted key of the config.
    value: value at the key.

  Returns:
    The value, with our names.
  """
  if key == "loss":
    return _of(LOSSES, value)
  if key.split(".")[-1] == "dtype":
    return _of(DTYPES, value)
  if key == "evaluation.metrics" and isinstance(value, list | tuple):
    entries = [entry.split(",") if isinstance(entry, str) else [entry] for entry in value]
    return tuple(metric_name(metric) for entry in entries for metric in entry)
  return value


def unknown(name: str, names: Iterable[str], kind: str) -> str:
  """Formats the error of an unknown name: the valid ones, and the nearest of them."""
  valid = sorted(names)
  hint = ELSEWHERE.get(_plain(str(name)))
  hint = f"; {hint}" if hint else near(name, [*valid, *_SHORT.get(kind, ())])
  if len(words := str(name).split()) > 1:
    hint = f"; with commas between, as in {','.join(words)}, they are {len(words)} names"
  # Of many, those of its role: what ends as it does, such as "_generator".
  of_role = [other for other in valid if other.endswith(f"_{str(name).rpartition('_')[2]}")]
  expected = ", ".join(of_role if kind == "network" and of_role else valid)
  return f"unknown {kind} {name!r}; expected one of: {expected}{hint}"


def near(name: str, names: Iterable[str]) -> str:
  """Suggests what was meant: '. Did you mean "hinge"?', or nothing where nothing is near."""
  valid = sorted(names)
  close = difflib.get_close_matches(str(name), valid, n=2)
  close = close or [other for other in valid if len(str(name)) > 2 and str(name) in other][:2]
  guesses = " or ".join(f'"{other}"' for other in close)
  return f". Did you mean {guesses}?" if close else ""


def metric_name(name: Any) -> Any:
  """Replaces a short name of a metric by ours, in whatever case: "FID" by "frechet"."""
  return _of(METRICS, _plain(name)) if isinstance(name, str) else name


def _of(aliases: Mapping[str, str], name: Any) -> Any:
  return aliases.get(_plain(name), name) if isinstance(name, str) else name


def _plain(name: str) -> str:
  return name.lower().replace("-", "_")
