"""Compiled programs on disk: none is ever half there."""

import multiprocessing
import os
import pathlib
import signal

import jax
from jax._src import lru_cache
from jax.experimental.compilation_cache import compilation_cache

import gan_jax
from gan_jax.run.cli.compilation_cache import keep_programs

SOME = b"a program" * 1000


def be_killed_while_writing(folder):
  """Writes an entry, and is killed with half of it written; called in a process of its own."""
  keep_programs(folder)
  write = pathlib.Path.write_bytes

  def write_half(path, content):
    write(path, content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

  pathlib.Path.write_bytes = write_half
  lru_cache.LRUCache(folder, max_size=-1).put("key", SOME)


def test_a_killed_process_leaves_no_part_of_a_program(tmp_path):
  process = multiprocessing.get_context("spawn").Process(
    target=be_killed_while_writing, args=(str(tmp_path),)
  )
  process.start()
  process.join()
  assert process.exitcode == -signal.SIGKILL
  kept = lru_cache.LRUCache(str(tmp_path), max_size=-1)
  assert kept.get("key") is None
  kept.put("key", SOME)
  assert kept.get("key") == SOME


def test_a_part_that_another_has_left_is_mended(tmp_path):
  kept = lru_cache.LRUCache(str(tmp_path), max_size=-1)
  (tmp_path / "key-cache").write_bytes(SOME[:100])
  kept.put("key", SOME)
  assert kept.get("key") == SOME


def test_programs_are_kept_where_the_environment_says(tmp_path, monkeypatch):
  kept, least = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
  value = lambda name: getattr(jax.config, name)
  before = {name: value(name) for name in (kept, least)}
  try:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("GAN_JAX_CACHE", str(tmp_path))
    gan_jax.keep_programs()
    assert value(kept) == str(tmp_path / "xla")
    monkeypatch.setenv("GAN_JAX_CACHE", "")  # as scripts unset what they cannot
    monkeypatch.setenv("HOME", str(tmp_path))
    gan_jax.keep_programs()
    assert value(kept) == str(tmp_path / ".cache/gan_jax/xla")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "of JAX")
    monkeypatch.setenv("GAN_JAX_CACHE", "another")
    gan_jax.keep_programs()
    assert value(kept) == str(tmp_path / ".cache/gan_jax/xla")  # as it was
  finally:
    for name, was in before.items():
      jax.config.update(name, was)


def test_programs_are_found_again(tmp_path):
  hits = []
  listen = lambda event, **_: hits.append(event) if event.endswith("/cache_hits") else None
  before = jax.config.jax_compilation_cache_dir
  jax.monitoring.register_event_listener(listen)
  try:
    keep_programs(tmp_path / "xla", seconds=0)
    compilation_cache.reset_cache()
    for _ in range(2):
      jax.clear_caches()
      assert jax.jit(lambda x: 3 * x + 1)(2.0) == 7.0
    assert hits
    assert all(path.name.endswith("-cache") for path in (tmp_path / "xla").iterdir())
  finally:
    jax.monitoring.unregister_event_listener(listen)
    keep_programs(before, seconds=0)
    compilation_cache.reset_cache()
