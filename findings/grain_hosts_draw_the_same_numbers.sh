#!/usr/bin/env bash
# grain's random_map gives all hosts the same random numbers where the data were split over hosts before it.
#
# One would guess: an example's random numbers follow from the seed, the epoch and the example, as they do in
# grain's DataLoader, whose shards draw unlike numbers; so `ds[host::hosts].random_map(f)`, the way of
# sharding that MapDataset.slice documents, draws for each example anew.
# What is so (grain 0.2.18): they follow from the seed and the place in the dataset that random_map sees, and
# each host's part begins at 0 (the index "in the dataset" of its docstring is the part's). The k-th example
# of every host has the same generator, in every epoch, of MapDataset and of IterDataset alike. After
# `random_map(f)[host::hosts]`, which reads no more, all differ. With a seed of each host's own, given to
# ds.seed, they differ as well, but a shuffle then draws from it too: the parts overlap, and a third of the
# examples is left out. Workers of one host (mp_prefetch) are spared.
# Why it matters: what a GAN draws in its pipeline are flips, crops, dequantisation, instance noise, latents.
# Eight hosts of 32 latents train on 32, each eight times, and their gradients do not average out; a test
# on one host shows nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check grain==0.2.18 numpy==2.4.6
cat >"$folder/play.py" <<'PY'
import importlib.metadata
import sys

import grain
from absl import flags

HOSTS, EXAMPLES, EPOCHS = 8, 256, 2


def draw(example, rng):
  return int(example), float(rng.standard_normal())


class Draw(grain.transforms.RandomMap):
  def random_map(self, element, rng):
    return draw(element, rng)


def data(seed=7):
  return grain.MapDataset.range(EXAMPLES).seed(seed).shuffle()


def loaded(host):
  shards = grain.sharding.ShardOptions(host, HOSTS)
  sampler = grain.samplers.IndexSampler(EXAMPLES, shards, shuffle=True, num_epochs=EPOCHS, seed=7)
  return list(grain.DataLoader(data_source=range(EXAMPLES), sampler=sampler, operations=[Draw()]))


def workers(host):
  parallel = grain.multiprocessing.MultiprocessingOptions(num_workers=2)
  return list(data()[host::HOSTS].random_map(draw).repeat(EPOCHS).to_iter_dataset().mp_prefetch(parallel))


WAYS = {
  "DataLoader": loaded,
  "slice, random_map": lambda h: list(data()[h::HOSTS].random_map(draw).repeat(EPOCHS)),
  "the same, as IterDataset": lambda h: list(
    data()[h::HOSTS].repeat(EPOCHS).to_iter_dataset().random_map(draw)
  ),
  "the same, by two workers": workers,
  "random_map, slice": lambda h: list(data().random_map(draw)[h::HOSTS].repeat(EPOCHS)),
  "seed + host, slice, random_map": lambda h: list(
    data(7 + h)[h::HOSTS].random_map(draw).repeat(EPOCHS)
  ),
  "random_map(seed=host)": lambda h: list(
    data()[h::HOSTS].random_map(draw, seed=h).repeat(EPOCHS)
  ),
}

if __name__ == "__main__":
  flags.FLAGS(sys.argv[:1])
  print("grain", importlib.metadata.version("grain"), f"{HOSTS} hosts, {EXAMPLES} examples, {EPOCHS} epochs")
  print("| way | draws | unlike numbers | hosts with the first number | examples seen in the first epoch |")
  found = {}
  for name, way in WAYS.items():
    hosts = [way(h) for h in range(HOSTS)]
    part = EXAMPLES // HOSTS
    numbers = {number for drawn in hosts for _, number in drawn}
    first = sum(drawn[0][1] == hosts[0][0][1] for drawn in hosts)
    seen = {example for drawn in hosts for example, _ in drawn[:part]}
    found[name] = len(numbers), first, len(seen)
    print(f"| {name} | {sum(map(len, hosts))} |", " | ".join(map(str, found[name])), "|")
  apart, alike = (EXAMPLES * EPOCHS, 1, EXAMPLES), (EXAMPLES * EPOCHS // HOSTS, HOSTS, EXAMPLES)
  names = list(WAYS)
  assert all(found[name] == alike for name in names[1:4]), "changed: numbers after the slice"
  assert found["DataLoader"] == found["random_map, slice"] == found["random_map(seed=host)"] == apart
  numbers, first, seen = found["seed + host, slice, random_map"]
  assert (numbers, first) == apart[:2] and seen < 0.8 * EXAMPLES, "changed: seeds by host"
  print("as described")
PY
"$folder/venv/bin/python" "$folder/play.py"
