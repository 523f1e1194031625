"""Files of weights that were made to harm: nothing runs, no room is made for what is not there."""

import hashlib
import io
import pathlib
import random
import struct
import zipfile

import msgpack
import numpy as np
import pytest
from allowance import at_most
from test_weights import ARRAYS, FORMATS
from torch_files import Storage, Tensor, tensors, written

from gan_jax.metrics.features.cache import load_or_make
from gan_jax.metrics.features.weights import Weights, load, save

MOST = 30 << 20  # bytes that reading a small file may take at any time


def refused(path: pathlib.Path, content: bytes, match: str = "cannot be read as") -> None:
  """Reads a hostile file; it must be refused plainly, and without much memory."""
  path.write_bytes(content)
  with at_most(MOST), pytest.raises(ValueError, match=match) as error:
    load(path, sha256=None)
  assert str(path) in str(error.value) and len(str(error.value)) < 2000


def torch_zip(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
  file = io.BytesIO()
  with zipfile.ZipFile(file, "w", how) as archive:
    for name, content in members.items():
      archive.writestr(name, content)
  return file.getvalue()


@pytest.mark.parametrize("place", ["archive/data.pkl", "archive/byteorder", "archive/data/0"])
def test_parts_that_unfold_to_much_are_refused(tmp_path: pathlib.Path, place: str):
  whole = written(tensors(ARRAYS), "zip")
  with zipfile.ZipFile(io.BytesIO(whole)) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
  bomb = torch_zip({**members, place: bytes(100 << 20)}, zipfile.ZIP_DEFLATED)
  assert len(bomb) < 1 << 20
  refused(tmp_path / "w.pth", bomb, "it is compressed, or its parts overlap")


@pytest.mark.parametrize(
  "harm",
  [
    b"\x80\x02r\xff\xff\xff\x7fN.",  # the place of a remembered object: 2^31
    b"\x80\x02(p999999999\nN.",
    b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",  # bytes
    b"\x80\x05\x96" + struct.pack("<Q", 2**33) + b"x.",  # an array of bytes
    b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.",  # text
    b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"x.",  # a frame
    b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",  # a whole number
    b"\x80\x02}" + b"2" * 100 + b".",  # copies of copies
  ],
)
@pytest.mark.parametrize("form", FORMATS)
def test_a_pickle_that_announces_much_is_refused(tmp_path: pathlib.Path, form: str, harm: bytes):
  content = harm if form == "legacy" else torch_zip({"archive/data.pkl": harm})
  refused(tmp_path / "w.pth", content)


@pytest.mark.parametrize("form", FORMATS)
def test_a_storage_that_announces_much_is_refused(tmp_path: pathlib.Path, form: str):
  class Long(np.ndarray):
    def __len__(self) -> int:
      return 2**40

  storage = Storage("0", np.zeros(4, np.float32))
  storage.values = storage.values.view(Long)
  content = written({"x": Tensor(storage, (2**39,), (1,))}, form)
  refused(tmp_path / "w.pth", content)


def test_a_message_does_not_grow_with_what_it_is_about(tmp_path: pathlib.Path):
  """Thirty tuples of one another would be a text of gigabytes."""
  nested = b"\x80\x02(K\x01t" + b"".join(b"q%c0(h%ch%ct" % (i, i, i) for i in range(30))
  asked = nested + b"q\x200(U\x07storageh\x20K\x01K\x01K\x01tQ."
  refused(tmp_path / "w.pth", torch_zip({"archive/data.pkl": asked}))


def test_random_damage_is_refused_or_harmless(tmp_path: pathlib.Path, monkeypatch):
  """Bits flipped anywhere: either the same kind of arrays come out, or one plain error."""
  monkeypatch.chdir(tmp_path)
  draw = random.Random(0)
  path = tmp_path / "w.pth"
  whole = [written(tensors(ARRAYS), form) for form in FORMATS]
  for i in range(400):
    content = bytearray(whole[i % 2])
    for _ in range(draw.choice((1, 2, 8))):
      content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)
    try:
      found = load(path, sha256=None).arrays
    except ValueError as error:
      assert str(path) in str(error)
    else:
      assert all(array.dtype in (np.float32, np.int64) for array in found.values())
  assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]


def kept_file(path: pathlib.Path, data: bytes) -> None:
  path.write_bytes(hashlib.sha256(data).digest() + data)


@pytest.mark.parametrize(
  "data",
  [
    b"\xdd\x7f\xff\xff\xff",  # a list of 2^31
    b"\x91" * 5000 + b"\xc0",
    b"\xc7\x20\x01" + msgpack.packb(((2**40,), "float32", b"x" * 8)).ljust(32, b"\0"),
    msgpack.packb(msgpack.ExtType(1, msgpack.packb(((1,), "object", bytes(8))))),
    msgpack.packb(msgpack.ExtType(1, msgpack.packb(((2**40,), "float32", bytes(8))))),
  ],
  ids=range(5),
)
def test_a_kept_file_with_a_right_checksum_of_harm_is_made_again(tmp_path: pathlib.Path, data):
  path = tmp_path / "seen.msgpack"
  kept_file(path, data)
  with at_most(MOST):
    assert load_or_make(path, "features", lambda: {"a": np.ones(2)})["a"].sum() == 2
  assert load_or_make(path, "features", lambda: pytest.fail("made again"))["a"].sum() == 2


def test_an_npz_that_announces_much_is_refused(tmp_path: pathlib.Path):
  path = tmp_path / "w.npz"
  save(path, Weights(ARRAYS, "12" * 32))
  header = io.BytesIO()
  about = {"descr": "<f4", "fortran_order": False, "shape": (2**40,)}
  np.lib.format.write_array_header_1_0(header, about)
  with zipfile.ZipFile(path, "a") as archive:
    archive.writestr("x.npy", header.getvalue())
  refused(path, path.read_bytes(), "needs 43980465.* bytes, more than")
