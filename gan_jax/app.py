"""The command line: finds the command, reads its flags, and says in a line what goes wrong."""

import ast
import contextlib
import os
import pathlib
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any

from absl import app, flags
from ml_collections import ConfigDict, config_flags

from gan_jax import commands
from gan_jax.commands import COMMANDS, FLAGS, FROM_RUN, USAGE, WITH_FOLDERS


def main() -> None:
  """Runs the command that the command line names."""
  command, *rest = sys.argv[1:] or ["help"]
  if command in ("help", "--help", "-h", "--helpfull", "--helpshort") or "--help" in rest:
    print(USAGE + FLAGS.module_help(FLAGS.find_module_defining_flag("workdir")))
    return
  if command not in COMMANDS:
    _fail(f"unknown command {command!r}; expected one of: {', '.join(COMMANDS)}", code=2)
  if command in ("train", "ablate"):
    signal.signal(signal.SIGTERM, _leave)  # until `fit` takes signals
  if command == "ablate":
    signal.signal(signal.SIGINT, _leave)  # its rows are whole at any time, its threads far from it
  rest = _with_stored_config(command, rest)
  # The file must be known before its keys are overridden, in whatever order they were typed;
  # config_flags looks the file up in sys.argv itself.
  rest.sort(key=lambda argument: not argument.startswith("--config="))
  sys.argv[1:] = [command, *rest]
  # JAX and Orbax tell much at INFO, absl's choice for an app; a later flag wins.
  arguments = [f"{sys.argv[0]} {command}", "--verbosity=-1", *rest]
  app.run(lambda argv: _together(COMMANDS[command], argv[1:]), argv=arguments, flags_parser=_parse)


def _with_stored_config(command: str, arguments: list[str]) -> list[str]:
  """Lets overrides change the config that a run was started with, where no --config=FILE does."""
  flag = lambda argument: argument.lstrip("-").split("=")[0]
  given = [flag(argument) for argument in arguments]
  overrides = any(name.startswith("config.") for name in given)
  if command not in FROM_RUN or "config" in given or not overrides or "workdir" not in given:
    return arguments
  at = len(given) - 1 - given[::-1].index("workdir")
  _, is_joined, value = arguments[at].partition("=")
  workdir = pathlib.Path(value if is_joined else [*arguments, ""][at + 1]).expanduser()
  if not (workdir / "config.json").is_file():
    return arguments
  from gan_jax import runs, stored

  try:
    runs.read_config(workdir)
  except (ValueError, OSError) as error:
    _fail(str(error))
  return [f"--config={stored.__file__}:{workdir}", *arguments]


class _NumberOrSection(flags.ArgumentParser):
  """Parses a number or a section of the config, since a schedule may stand where a number may."""

  def parse(self, argument: Any) -> Any:
    if not isinstance(argument, str):
      return argument  # what the config file says
    with contextlib.suppress(ValueError):
      return float(argument)
    with contextlib.suppress(SyntaxError, ValueError):
      if isinstance(value := ast.literal_eval(argument), dict):
        return ConfigDict(value)
    raise ValueError("expected a number, or a section such as {'name': ...} or {'schedule': ...}")


def _parse(argv: list[str]) -> list[str]:
  """Parses flags; a mistake in them, or in the config file they name, ends with one plain line."""
  for kind in (float, ConfigDict):
    config_flags.register_flag_parser_for_type(kind, _NumberOrSection())
  try:
    left = FLAGS(argv)
  except flags.Error as error:
    hint = (
      "" if FLAGS["config"].present or "'config." not in str(error) else " without --config=FILE"
    )
    _fail(f"{error}{hint}", code=2)
  except (
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    OSError,
    ImportError,
    SyntaxError,
  ) as error:
    _fail(_config_problem(error), code=2)
  if left[1:] and COMMANDS[sys.argv[1]] not in WITH_FOLDERS:
    _fail(f"unexpected argument {left[1]!r}; flags look like --workdir=DIR", code=2)
  return left


def _config_problem(error: Exception) -> str:
  """Says what is wrong with a config or an override, with the keys there are."""
  text = str(error.args[0] if isinstance(error, KeyError) else error)
  if isinstance(error, SyntaxError):
    return f"--config: {error.filename}, line {error.lineno}: {error.msg}"
  if "has no attribute 'get_config'" in text:
    return "--config: the file defines no get_config()"
  if isinstance(error, AttributeError | KeyError):
    text += _unknown_key()
  return f"--config: {text}"


def _unknown_key() -> str:
  """Names the override whose key there is not, and the keys there are beside it."""
  files = [a.split("=", 1)[1] for a in sys.argv if a.startswith("--config=")]
  overrides = [a[2:].split("=")[0].split(".") for a in sys.argv if a.startswith("--config.")]
  for _, *path in overrides if files else []:
    file, *argument = files[-1].split(":", 1)
    section: Any = runpy.run_path(file)["get_config"](*argument)
    for depth, key in enumerate(path):
      if not isinstance(section, ConfigDict) or key not in section:
        where = ".".join(["config", *path[:depth]])
        keys = ", ".join(sorted(section)) if isinstance(section, ConfigDict) else "none"
        return f"\n{where} has no key {key!r}; its keys: {keys}"
      section = section[key]
  return ""


def _together(command: Callable[..., None], arguments: list[str]) -> None:
  """Runs a command so that, of several processes, none is left waiting for one that has failed."""
  from gan_jax import parallel

  with parallel.leaving():
    _guarded(command, arguments)


def _guarded(command: Callable[..., None], arguments: list[str]) -> None:
  """Runs a command; an error the user can do something about is one message, not a traceback."""
  _prepare_jax()
  from gan_jax import parallel, switches
  from gan_jax.interruption import is_busy

  sys.unraisablehook = _tell_unraisable
  try:
    switches.check()
    if command is commands.train:  # the others are for one process
      parallel.start(
        commands.COORDINATOR.value, commands.NUM_PROCESSES.value, commands.PROCESS_ID.value
      )
    command(*arguments)
  except KeyboardInterrupt as error:
    if command is commands.train:
      message = f"{str(error) or 'stopped'}; start it again to go on"
      if is_busy():  # compiling: nobody waits for it, and Python cannot be taken down under it
        print(f"gan_jax: {message}", file=sys.stderr, flush=True)
        os._exit(75)
      _fail(message, code=75)
    _fail("interrupted", code=130)
  except (
    ValueError,
    OSError,
    FloatingPointError,
    ImportError,
    parallel.OtherProcessError,
  ) as error:
    if commands.TRACEBACK.value:
      raise
    _fail(f"{error}\n(--traceback shows where this came up)")


def _tell_unraisable(found: Any) -> None:
  """Tells what cannot be raised; not that Orbax, when a save failed, let go of other writes."""
  if str(found.exc_value) != "Event loop is closed":
    sys.__unraisablehook__(found)


def _prepare_jax() -> None:
  """Sets JAX's switches, and keeps compiled programs, in its own cache or this project's."""
  import jax

  from gan_jax import switches

  switches.fix_all()
  if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    cache = os.environ.get("GAN_JAX_CACHE", "~/.cache/gan_jax")
    jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(cache, "xla").expanduser()))
    # Small programs too: a short run has a dozen, of 0.1 to 1 s each.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _leave(number: int, frame: Any) -> None:
  """Ends a process in which nothing can be lost yet; an exception might be lost in an import."""
  print("gan_jax: stopped; start it again to go on", file=sys.stderr, flush=True)
  os._exit(75)


def _fail(message: str, code: int = 1) -> Any:
  print(f"gan_jax: {message}", file=sys.stderr)
  sys.exit(code)


if __name__ == "__main__":
  main()
