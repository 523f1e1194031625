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
}
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
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
      if token.type == tokenize.NAME and token.string in old:
        place = f"{path.relative_to(ROOT)}:{token.start[0]}"
        raise AssertionError(f"{place}: {token.string} is called {old[token.string]}")
