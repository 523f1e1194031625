#!/usr/bin/env python3
"""Stands for gcloud: TPU VMs are folders under $CLOUD, and commands run in them as their homes.

$CLOUD/NAME/state         of the VM; without the folder there is no such VM
$CLOUD/NAME/home          of its only worker
$CLOUD/queue/NAME         state of a queued resource
$CLOUD/calls              what was asked for, a line of JSON each
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

CLOUD = pathlib.Path(os.environ["CLOUD"])


def main() -> int:
  words = sys.argv[1:]
  with (CLOUD / "calls").open("a") as file:
    file.write(json.dumps(words) + "\n")
  assert words[:2] == ["compute", "tpus"], words
  kind, verb, *rest = words[2:]
  options = dict(w[2:].partition("=")[::2] for w in rest if w.startswith("--"))
  names = [w for w in rest if not w.startswith("--")]
  assert options.pop("zone") == "z"
  if kind == "queued-resources":
    return queued(verb, names[0], options)
  return {"create": create, "describe": describe, "delete": delete, "ssh": ssh, "scp": scp}[verb](
    names, options
  )


def queued(verb, name, options):
  request = CLOUD / "queue" / name
  if verb == "create":
    assert {"node-id", "accelerator-type", "runtime-version"} <= set(options)
    request.parent.mkdir(exist_ok=True)
    request.write_text("WAITING_FOR_RESOURCES")
  elif not request.exists():
    return missing(name)
  elif verb == "describe":
    print(request.read_text())
    if request.read_text() == "WAITING_FOR_RESOURCES":  # it comes while one looks
      request.write_text("ACTIVE")
      make(name)
  else:
    assert "force" in options
    request.unlink()
    shutil.rmtree(CLOUD / name, ignore_errors=True)
  return 0


def make(name):
  (CLOUD / name / "home").mkdir(parents=True)
  (CLOUD / name / "state").write_text("READY")


def create(names, options):
  assert {"accelerator-type", "version"} <= set(options)
  if (CLOUD / "full").exists():
    (CLOUD / "full").unlink()
    print("ERROR: there is no more capacity in the zone", file=sys.stderr)
    return 1
  make(names[0])
  return 0


def missing(name):
  print(f"ERROR: (gcloud) NOT_FOUND: Resource {name} was not found", file=sys.stderr)
  return 1


def describe(names, options):
  vm = CLOUD / names[0]
  if (CLOUD / "away").exists():
    (CLOUD / "away").unlink()
    print("ERROR: cannot reach the network", file=sys.stderr)
    return 1
  if not vm.exists():
    return missing(names[0])
  fields = {"value(state)": vm / "state", "value(networkEndpoints[].ipAddress)": vm / "workers"}
  path = fields[options["format"]]
  print(path.read_text() if path.exists() else "10.0.0.2")
  return 0


def delete(names, options):
  assert "quiet" in options
  shutil.rmtree(CLOUD / names[0])
  return 0


def ssh(names, options):
  home = CLOUD / names[0] / "home"
  if not home.exists():
    return missing(names[0])
  environment = {**os.environ, "HOME": str(home)}
  return subprocess.run(["bash", "-c", options["command"]], cwd=home, env=environment).returncode


def scp(names, options):
  def place(name):
    vm, colon, path = name.partition(":")
    return CLOUD / vm / "home" / path if colon else pathlib.Path(name)

  *sources, target = map(place, names)
  for source in sources:
    shutil.copy(source, target)
  return 0


if __name__ == "__main__":
  sys.exit(main())
