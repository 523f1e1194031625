"""The command line: finds the command, reads its flags, and says in a line what goes wrong."""

import contextlib
import gc
import os
import pathlib
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from absl import app, flags, logging

from gan_jax import __version__
from gan_jax.run.cli import commands, usage
from gan_jax.run.cli.commands import COMMANDS, FROM_RUN, WITH_FOLDERS
from gan_jax.run.cli.config_flag import ConfigFileError
from gan_jax.run.cli.flags import FLAGS
from gan_jax.run.config import aliases

GARBAGE = 100_000  # objects that are made between two searches for garbage


def main() -> None:
  """Runs the command that the command line names."""
  # Imports and traces make a million objects, none of them garbage: to look for it among them, as
  # often as Python does, takes a sixth of a start.
  gc.set_threshold(GARBAGE)
  command, *rest = sys.argv[1:] or ["help"]
  text = _asked(command, rest)
  with _closed_pipes(75 if command in ("train", "ablate") and not text else 0):
    if text:
      print(text)
      return
    if command not in COMMANDS:
      near = aliases.near(command, [*COMMANDS, "--help", "--version"])
      _fail(f"unknown command {command!r}; expected one of: {', '.join(COMMANDS)}{near}", code=2)
    if command in ("train", "ablate"):
      signal.signal(signal.SIGTERM, _leave)  # until `fit` takes signals
    if command == "ablate":  # its rows are whole at any time, its threads far from it
      signal.signal(signal.SIGINT, _leave)
    rest = _with_stored_config(command, rest)
    # The file must be known before its keys are overridden, in whatever order they were typed;
    # config_flags looks the file up in sys.argv itself.
    rest.sort(key=lambda argument: not argument.startswith("--config="))
    sys.argv[1:] = [command, *rest]
    # JAX and Orbax tell much at INFO, absl's choice for an app; a later flag wins.
    arguments = [f"{sys.argv[0]} {command}", "--verbosity=-1", *rest]
    logging.get_absl_handler().setFormatter(_Plain())
    run = lambda argv: _together(COMMANDS[command], argv[1:])
    app.run(run, argv=arguments, flags_parser=_parse)


class _Plain(logging.PythonFormatter):
  """Formats warnings of this project as commands print them, and those of others as absl does."""

  def format(self, record: Any) -> str:
    if pathlib.Path(__file__).parents[2] not in pathlib.Path(record.pathname).parents:
      return super().format(record)
    return f"gan_jax: {record.levelname.lower()}: {record.getMessage()}"


def _asked(command: str, rest: list[str]) -> str:
  """Formats what is printed in the place of a command's work: help, or the version."""
  if command in ("--version", "version"):
    return f"gan_jax {__version__}"
  helps = {"-h", "--help", "--helpfull", "--helpshort"}
  if command == "help" and rest:
    command, rest = rest[0], ["--help"]
  if command in COMMANDS and helps & set(rest):
    return usage.of_command(COMMANDS[command])
  return usage.overview(COMMANDS.values()) if command in helps | {"help"} else ""


@contextlib.contextmanager
def _closed_pipes(code: int) -> Iterator[None]:
  """Ends quietly where nobody reads on: `gan_jax runs DIR | head -1`."""
  try:
    try:
      yield
    finally:
      sys.stdout.flush()
  except BrokenPipeError:
    for stream in (sys.stdout, sys.stderr):  # they are flushed once more at the end
      os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _with_stored_config(command: str, arguments: list[str]) -> list[str]:
  """Adds the config that a run was started with, where there are overrides and no --config=FILE."""
  flag = lambda argument: argument.lstrip("-").split("=")[0]
  given = [flag(argument) for argument in arguments]
  overrides = any(name.startswith("config.") for name in given)
  if command not in FROM_RUN or "config" in given or not overrides:
    return arguments
  named = [argument for argument in arguments if not argument.startswith("-")]
  named += [argument.partition("=")[2] for argument in arguments if "workdir=" in argument]
  places = [pathlib.Path(name).expanduser() for name in named]
  workdir = next((place for place in places if (place / "config.json").is_file()), None)
  if workdir is None:
    return arguments
  from gan_jax.run.config import stored

  try:
    stored.read_config(workdir)
  except (ValueError, OSError) as error:
    _fail(str(error))
  return [f"--config={stored.__file__}:{workdir}", *arguments]


def _parse(argv: list[str]) -> list[str]:
  """Parses flags; a mistake in them, or in the config file they name, ends with one plain line."""
  command = sys.argv[1]
  try:
    arguments = FLAGS(argv)
  except flags.Error as error:
    text = str(error)
    # What absl guesses is a name that looks alike; that of published code is told for certain.
    if isinstance(error, flags.UnrecognizedFlagError) and aliases.published(error.flagname):
      text = f"Unknown command line flag {error.flagname!r}{aliases.published(error.flagname)}"
    elif "'config." in text and not FLAGS["config"].present:
      text += " without --config=FILE"
    _fail(text, code=2)
  except (ConfigFileError, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
    if "--traceback" in argv:
      raise
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    _fail(text if isinstance(error, ConfigFileError) else f"--config: {text}", code=2)
  if arguments[1:] and COMMANDS[command] not in WITH_FOLDERS:
    meant = "--config" if arguments[1].endswith(".py") else "--workdir"
    _fail(
      f"unexpected argument {arguments[1]!r}; flags look like {meant}={arguments[1]}: "
      f"gan_jax {command} --help",
      code=2,
    )
  for name in FLAGS:
    of = usage.takers(name) if FLAGS[name].present else []
    if of and command not in of:
      _fail(
        f"--{name} is no flag of {command}, but of {', '.join(of)}; see gan_jax {command} --help", 2
      )
  return arguments


def _together(command: Callable[..., None], arguments: list[str]) -> None:
  """Runs a command so that, of several processes, none is left waiting for one that has failed."""
  from gan_jax.run.training.interruption import exit_on_local_failure

  with exit_on_local_failure():
    _guarded(command, arguments)


def _guarded(command: Callable[..., None], arguments: list[str]) -> None:
  """Runs a command; an error the user can do something about is one message, not a traceback."""
  _prepare_jax()
  from gan_jax import parallel
  from gan_jax.run.config import switches
  from gan_jax.run.training.interruption import is_busy

  sys.unraisablehook = _print_unraisable
  try:
    switches.check()
    if command is commands.train:  # the others are for one process
      parallel.start(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
    command(*arguments)
  except BrokenPipeError:  # nobody reads on
    raise
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
    if FLAGS.traceback:
      raise
    message = usage.named_by_flags(str(error), sys.argv[1])
    if isinstance(error, usage.UsageError):
      _fail(message, code=2)
    _fail(f"{message}\n(--traceback shows where this came up)")
  except (RuntimeError, AssertionError) as error:
    if FLAGS.traceback or not _finds_no_devices(error):
      raise
    asked = f"JAX_PLATFORMS={os.environ['JAX_PLATFORMS']}"
    message = f"gan_jax: {asked}: JAX finds no such devices here; leave it out, or set it to cpu"
    print(message, file=sys.stderr, flush=True)
    os._exit(1)  # whoever asks whether other processes wait would ask these devices


def _finds_no_devices(error: Exception) -> bool:
  """Checks whether JAX has failed to find the devices that JAX_PLATFORMS names."""
  text = "".join(traceback.format_exception(error))  # with the frames that JAX leaves out of others
  return bool(os.environ.get("JAX_PLATFORMS")) and "in backends" in text


def _print_unraisable(unraisable: Any) -> None:
  """Prints an error that cannot be raised, but not Orbax's of other writes when a save failed."""
  if str(unraisable.exc_value) != "Event loop is closed":
    sys.__unraisablehook__(unraisable)


def _prepare_jax() -> None:
  """Sets JAX's switches, and keeps compiled programs, in JAX's own cache or this project's."""
  from gan_jax.run.cli.compilation_cache import keep_programs
  from gan_jax.run.config import switches

  switches.fix_all()
  keep_programs()


def _leave(number: int, frame: Any) -> None:
  """Ends a process in which nothing can be lost yet; an exception might be lost in an import."""
  print("gan_jax: stopped; start it again to go on", file=sys.stderr, flush=True)
  os._exit(75)


def _fail(message: str, code: int = 1) -> Any:
  print(f"gan_jax: {message}", file=sys.stderr)
  sys.exit(code)


if __name__ == "__main__":
  main()
