"""Names that were replaced by the terms of the field do not come back."""

import io
import pathlib
import tokenize

ROOT = pathlib.Path(__file__).parents[2]

REPLACED = {  # anywhere in the library
  "Teller": "Logger",
  "Quiet": "NullLogger",
  "has_to_tell": "should_log",
  "has_told": "already_logged",
  "Watch": "MetricsBuffer",
  "Asked": "EvaluationSpec",
  "images_asked": "evaluation_spec",
  "Given": "ExtractorInputs",
  "Features": "ExtractorFactory",
  "How": "SamplingOptions",
  "Found": "Gradients",
  "Move": "StepContext",
  "judgement": "discriminator_metrics",
  "Sign": "Threshold",
  "Monitor": "Detector",
  "MONITORS": "DETECTORS",
  "Alarm": "Warning_",
  "alarm": "warning",
  "alarms": "warnings",
  "Diagnosis": "DetectorState",
  "other_noise": "reseed",
  "note_rollback": "record_rollback",
  "leaving": "exit_on_local_failure",
  "tell_gone": "broadcast_exit",
  "GONE": "EXIT_KEY",
  "HEARD": "PROPAGATION_SECONDS",
  "keep_card": "save_card",
  "forget_cards": "drop_cards_after",
  "Listed": "RunSummary",
  "told_scores": "format_scores",
  "Alike": "ComparableGroup",
  "scored_alike": "comparable_groups",
  "Strip": "Thumbnails",
  "secant": "jacobian_norm_estimate",
  "placed": "abstract_state",
  "everywhere": "replicated",
  "is_common": "is_collective",
  "Seen": "FeatureSet",
  "rounds_player": "make_dispatch",
  "rounds_program": "jit_rounds",
  "experiment_of": "RunFolder.experiment",
  "OUR_OPTIONS": "EXTRA_OPTIONS",
  "Judged": "DiscriminatorPlot",
  "clouds": "scatter_density",
  "sheets": "image_grids",
  "portraits": "phase_portraits",
  "tidy": "remove_temporaries",
  "is_whole": "is_integer",
  "tell_unseen": "warn_unseen",
  "judge": "classifier",
}
IN_THE_SCIENCE = {  # in the rooms that know nothing of runs
  "found": "the thing itself",
  "seen": "the thing itself",
  "made": "the thing itself",
  "drawn": "samples",
  "kept": "load_or_make",
  "told": "the thing itself",
  "mine": "local_rule",
  "agreed": "mark_collective",
  "look": "forward",
  "_look": "_forward",
  "Look": "Theme",
  "choose": "lookup",
}
SCIENCE = ("game", "losses", "nets", "data", "theory", "metrics", "plots", "parallel")
IN_THE_STEP = {  # in the files that a round is made of
  "here": "gradient_descent",
  "found": "grads",
  "left": "new_carried",
  "told": "new_metrics",
  "watched": "opponents",
}

NO_NOUNS = {  # of variables in these rooms, where a name says which thing it is
  **dict.fromkeys(("found", "left", "told", "made", "kept", "here"), "by what it is"),
  "said": "format_...",
  "look": "summarise_run",
  "judged": "outcomes",
  "alike": "comparable_...",
}
ROOMS = ("run/report", "run/results", "run/ablation")
OTHERS = ("runs.py", "play.py")


def test_replaced_names_stay_replaced():
  step = {ROOT / "gan_jax" / "game" / name for name in ("core.py", "rules.py")}
  for path in sorted((ROOT / "gan_jax").rglob("*.py")):
    old = REPLACED | (IN_THE_STEP if path in step else {})
    if path.name not in OTHERS and any(f"gan_jax/{room}/" in path.as_posix() for room in ROOMS):
      old |= NO_NOUNS
    if path.relative_to(ROOT / "gan_jax").parts[0] in SCIENCE:
      old = old | IN_THE_SCIENCE
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
      if token.type == tokenize.NAME and token.string in old:
        place = f"{path.relative_to(ROOT)}:{token.start[0]}"
        raise AssertionError(f"{place}: {token.string} is called {old[token.string]}")
