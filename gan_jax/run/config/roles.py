"""Roles of the keys of a config: which of them may change when a run goes on."""

from collections.abc import Sequence

# Keys of the config, and sections of it, that may change when a run goes on: no number of a round
# depends on them. All others need --allow_config_change.
EVALUATION = ("evaluation", "num_fake")  # how it is scored: scores say so
LAYOUT = ("mesh", "microbatches", "remat", "rounds_per_call", "data_options.placement")  # computed
COURSE = (  # how far it goes, what is told and kept on the way, and what is done after a NaN
  "rounds",
  "log_every",
  "sample_every",
  "evaluate_every",
  "checkpoint_every",
  "keep_checkpoints",
  "keep_every",
  "num_samples",
  "on_nan",
  "max_rollbacks",
)
# Where the data lie, if they are the same, which is looked at.
PLACE = ("data", "data_options.data_dir", "data_options.manual_dir")
# Keys of later versions: at their defaults they are as if they were not, so that configs match.
LATER = {
  "data_options.label": "",
  "data_options.axes": "",
  "data_options.value_range": [0.0, 0.0],
  "condition.vicinity.name": "none",
  "condition.vicinity.sigma": 0.0,
  "condition.vicinity.kappa": 0.0,
  "codes.learned_variance": False,
  "minibatch_kernels": 0,  # of a network, in any section
  "minibatch_dim": 5,
  "upsampling": "nearest",
  "rectified_shortcut": False,
  "attention_blocks": [],
  "multiples": [],
  "output_epsilon": 1e-5,
  "freeze": "",  # of an optimizer
  "start_from": "",
  "feature_matching.l2": 0.0,
  "feature_matching.l1": 0.0,
  "top_k.share": 1.0,
  "average.start": 0,
  "regularizer_options.orthogonal.convention": "paper",
  "regularizer_options.orthogonal.norms": False,
}


def is_within(key: str, sections: Sequence[str]) -> bool:
  """Checks whether a dotted key is one of these keys, or within one of these sections."""
  return any(key == name or key.startswith(f"{name}.") for name in sections)


def is_place(key: str) -> bool:
  """Checks whether a dotted key of the config names the place of the data."""
  return is_within(key, PLACE)


def is_of_scores(key: str) -> bool:
  """Checks whether a dotted key of the config is an option of evaluation."""
  return is_within(key, EVALUATION)
