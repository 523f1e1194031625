"""Names that were replaced by the terms of the field do not come back."""

import ast
import io
import pathlib
import re
import tokenize

ROOT = pathlib.Path(__file__).parents[2]

REPLACED = {  # anywhere in the library
  "Teller": "Logger",
  "Quiet": "None in the place of a Logger",
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
  **dict.fromkeys(("found", "told", "made", "kept", "here", "said"), "by what it is"),
  "look": "forward, inspect, summarise_run",
  "_look": "_forward",
  "alike": "comparable_...",
  "judged": "outcomes",
}
IN_THE_SCIENCE = {  # in the rooms that know nothing of runs
  "seen": "the thing itself",
  "drawn": "samples",
  "mine": "local_rule",
  "agreed": "mark_collective",
  "Look": "Theme",
  "choose": "lookup",
}
SCIENCE = ("game", "losses", "nets", "data", "theory", "metrics", "plots", "parallel")
IN_RUNS = {"left": "by what it is", "tell": "log", "Tell": "Log", "Look": "Inspect"}
IN_THE_STEP = {"left": "new_carried", "watched": "opponents"}  # the files of a round
VERBS = {"Makes", "Tells", "Says", "Takes", "Finds", "Looks", "Lets", "Gives"}


def test_replaced_names_stay_replaced():
  for path in sorted((ROOT / "gan_jax").rglob("*.py")):
    room = path.relative_to(ROOT / "gan_jax").parts[0]
    old = REPLACED | {"run": IN_RUNS, **dict.fromkeys(SCIENCE, IN_THE_SCIENCE)}.get(room, {})
    if room == "game" and path.name in ("core.py", "play.py", "rules.py"):
      old = old | IN_THE_STEP
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
      if token.type == tokenize.NAME and token.string in old:
        place = f"{path.relative_to(ROOT)}:{token.start[0]}"
        raise AssertionError(f"{place}: {token.string} is called {old[token.string]}")


def test_players_are_named_where_games_are_built_and_nowhere_else():
  """Step, loop, checkpoint, detectors and reports know players by what a `Game` says of them."""
  kinds = ("game/kinds", "run/config/sections/kinds", "losses", "nets", "theory")
  player = re.compile(r"(generator|discriminator)s?([/.].*)?")  # and "player/metric", "player.key"
  named = []
  for path in sorted((ROOT / "gan_jax").rglob("*.py")):
    if not path.relative_to(ROOT / "gan_jax").as_posix().startswith(kinds):
      constants = (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant))
      named += [(path.name, n.value) for n in constants if player.fullmatch(str(n.value))]
  assert not named


def test_docstrings_begin_with_verbs_of_the_field():
  for path in sorted((ROOT / "gan_jax").rglob("*.py")):
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
        assert text.split()[0] not in VERBS, f"{path.relative_to(ROOT)}:{node.lineno}: {text}"
