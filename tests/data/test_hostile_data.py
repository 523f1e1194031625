"""Data that were made to harm: nothing in them runs, no room is made for what is not there."""

import gzip
import io
import json
import pathlib
import struct
import sys
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from allowance import at_most
from small_sets import images, write_images

from gan_jax.data import Batches, load

MOST = 60 << 20  # bytes that opening a small file may take at any time; 64 million pixels are more


def refused(name: str, match: str, **options) -> None:
  """Opens a hostile source; it must be refused plainly, without much memory."""
  with at_most(MOST), pytest.raises(ValueError, match=match) as error:
    load(name, **options)
  assert len(str(error.value)) < 2000


# Arrays.


def npy(shape, descr: str = "|u1", content: bytes = b"") -> bytes:
  """Writes an array whose header says what it likes."""
  header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
  return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def npz(path: pathlib.Path, how: int = zipfile.ZIP_DEFLATED, **members: bytes) -> str:
  with zipfile.ZipFile(path, "w", how) as archive:
    for name, content in members.items():
      archive.writestr(f"{name}.npy", content)
  return f"npz:{path}"


class Harm:
  """What pickles to a call that would leave a file."""

  def __init__(self, path: pathlib.Path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


def test_pickled_objects_are_not_looked_at(tmp_path):
  made = tmp_path / "made"
  np.savez(tmp_path / "a.npz", x=np.array([Harm(made)], object), allow_pickle=True)
  refused(f"npz:{tmp_path / 'a.npz'}", r"a\.npz cannot be read as .npz arrays without pickle")
  assert not made.exists()


def test_a_size_cannot_be_hidden_behind_a_negative_one(tmp_path):
  """4 TB and -4 TB would be nothing together."""
  name = npz(tmp_path / "a.npz", x=npy((2**42,)), y=npy((-(2**42),)))
  refused(name, r"a\.npz cannot be read .*y\.npy has the shape \(-4398046511104,\)")


def test_a_header_that_unfolds_is_not_unfolded(tmp_path):
  """A header may announce its own length, here 70 MB of spaces in 70 kB."""
  long = b"\x93NUMPY\x02\x00" + struct.pack("<I", 70 << 20) + b" " * (70 << 20)
  name = npz(tmp_path / "a.npz", x=long)
  assert (tmp_path / "a.npz").stat().st_size < 1 << 20
  refused(name, r"a\.npz needs 734\d+ bytes, more than memory_limit", memory_limit=50 << 20)


def test_an_array_that_unfolds_beyond_the_limit_is_not_unfolded(tmp_path):
  name = npz(tmp_path / "a.npz", x=npy((70 << 20,), content=bytes(70 << 20)))
  refused(name, r"a\.npz needs 734\d+ bytes, more than memory_limit", memory_limit=50 << 20)


def test_other_compressions_are_refused(tmp_path):
  """Those of which a header announces how much room they need."""
  name = npz(tmp_path / "a.npz", zipfile.ZIP_LZMA, x=npy((4,), content=bytes(4)))
  refused(name, "compressed in a way that numpy does not use")


def test_names_of_arrays_are_no_paths(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
    archive.writestr("../x.npy", npy((2,), content=bytes(2)))
    archive.writestr(f"{tmp_path / 'made'}.npy", npy((2,), content=bytes(2)))
  refused(f"npz:{tmp_path / 'a.npz'}", r"has the arrays \[.*\.\./x.*must be called")
  assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_idx_file_that_announces_more_than_it_can_hold_is_refused(tmp_path, suffix):
  path = tmp_path / f"train-images-idx3-ubyte{suffix}"
  content = b"\0\0\x08\x03" + struct.pack(">3I", 2000, 1000, 1000)  # within the limit
  path.write_bytes(gzip.compress(content) if suffix else content)
  refused(f"idx:{tmp_path}", r"ubyte(\.gz)? has fewer bytes than its shape \[2000, 1000, 1000\]")


def test_a_gzip_file_is_unfolded_no_further_than_its_shape(tmp_path):
  content = b"\0\0\x08\x03" + struct.pack(">3I", 2, 3, 4) + bytes(70 << 20)
  (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content, 1))
  refused(f"idx:{tmp_path}", r"has more bytes than its shape \[2, 3, 4\]")


# Images.


def chunk(kind: bytes, content: bytes) -> bytes:
  checksum = zlib.crc32(kind + content).to_bytes(4, "big")
  return struct.pack(">I", len(content)) + kind + content + checksum


def png(width: int, height: int, pixels: bytes, *others: bytes, bits: int = 8) -> bytes:
  """Writes a PNG of colours, of any size and with whatever compressed pixels."""
  header = struct.pack(">2I5B", width, height, bits, 2, 0, 0, 0)
  end = chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
  return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(others) + end


def zeros(count: int) -> bytes:
  squeeze = zlib.compressobj(9)
  return squeeze.compress(bytes(count)) + squeeze.flush()


def test_a_whole_png_of_too_many_pixels_is_not_decoded(tmp_path):
  """Every row is there: 300 MB, in as many kB."""
  write_images(tmp_path, images(2, 8, 8, 3))
  (tmp_path / "bomb.png").write_bytes(png(10_000, 10_000, zeros(30_001 * 10_000)))
  assert (tmp_path / "bomb.png").stat().st_size < 1 << 20
  refused(f"folder:{tmp_path}", r"bomb\.png (has|is far too large).*shrink it, or remove it")


def test_pixels_that_unfold_to_more_than_the_size_are_not_unfolded(tmp_path):
  (tmp_path / "a.png").write_bytes(png(8, 8, zeros(70 << 20)))
  with at_most(MOST):
    assert load(f"folder:{tmp_path}").arrays["x"].shape == (1, 8, 8, 3)  # the first 64 of them


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_or_profile_that_unfolds_is_refused(tmp_path, kind):
  body = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind] + zeros(70 << 20)
  (tmp_path / "a.png").write_bytes(png(8, 8, zeros(8 * 25), chunk(kind, body)))
  with at_most(MOST):
    try:
      load(f"folder:{tmp_path}")  # a profile is not needed, and may be left out
    except ValueError as error:
      assert "a.png cannot be read as" in str(error) and "remove or replace it" in str(error)


@pytest.mark.parametrize("memory_limit", [1 << 30, 100])  # decoded at once; streamed
def test_a_png_that_is_cut_short_anywhere_is_named(tmp_path, memory_limit):
  write_images(tmp_path, images(2, 16, 16, 3))
  bad = tmp_path / "001.png"
  whole = bad.read_bytes()
  for size in range(0, len(whole) - 12, 97):  # the last chunk says nothing but that it is the last
    bad.write_bytes(whole[:size])
    with pytest.raises(ValueError, match=r"001\.png cannot be read .*remove or replace it"):
      next(Batches(load(f"folder:{tmp_path}", memory_limit=memory_limit), 2, 0).stream())


def test_an_image_that_was_replaced_since_its_header_was_read_is_refused(tmp_path):
  write_images(tmp_path, images(2, 8, 8, 3))
  source = load(f"folder:{tmp_path}", memory_limit=100)  # streamed
  (tmp_path / "001.png").write_bytes(png(8200, 8200, zeros(24_601 * 8200)))
  named = pytest.raises(ValueError, match=r"001\.png has 8200 x 8200 pixels, more than")
  with at_most(MOST), named:
    next(Batches(source, 2, 0).stream())


def test_colours_of_16_bits_are_not_halved_in_silence(tmp_path):
  (tmp_path / "a.png").write_bytes(png(8, 8, zeros(49 * 8), bits=16))
  refused(f"folder:{tmp_path}", r"a\.png has pixels of type 'RGB;16'.*convert it to 8 bits")
  (tmp_path / "a.png").rename(tmp_path / "a.ppm")
  for head, content in ((b"P6", bytes(6)), (b"P3", b"0 0 0")):
    (tmp_path / "a.ppm").write_bytes(head + b"\n1 1\n65535\n" + content)
    refused(f"folder:{tmp_path}", r"a\.ppm has pixels of type 'RGB;16'.*convert it to 8 bits")


@pytest.mark.parametrize("content", [b"%!PS\n%%BoundingBox: 0 0 9 9\n", b"GIF89a", b"II*\0"])
def test_what_is_no_image_is_not_given_to_other_decoders(tmp_path, content):
  """PostScript is a language; Pillow would hand it to an interpreter."""
  (tmp_path / "a.png").write_bytes(content + bytes(100))
  refused(f"folder:{tmp_path}", r"a\.png cannot be read as an image")


# Zips of images.


def test_names_in_a_zip_are_no_paths_and_nothing_is_unpacked(tmp_path):
  pixels = png(8, 8, zeros(25 * 8))
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    for name in ("../up.png", f"{tmp_path}/made.png", "a/../../up.png", "b.png"):
      archive.writestr(name, pixels)
  with pytest.raises(ValueError, match=r"has images \(b\.png, \.\.\.\) beside folders"):
    load(f"zip:{tmp_path / 'a.zip'}")
  assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_an_image_in_a_zip_that_unfolds_is_not_unfolded(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("a.png", png(10_000, 10_000, zeros(70 << 20)))
  refused(f"zip:{tmp_path / 'a.zip'}", r"a\.zip/a\.png (has|is far too large)")


def test_labels_that_unfold_are_not_unfolded(tmp_path, monkeypatch):
  monkeypatch.setattr("gan_jax.data.sources.folders.layout.JSON_LIMIT", 1 << 20)
  with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("a.png", png(8, 8, zeros(25 * 8)))
    archive.writestr("dataset.json", b" " * (70 << 20))
  refused(f"zip:{tmp_path / 'a.zip'}", r"dataset\.json cannot be read \(it has more than 1048576")


def test_a_name_without_end_is_refused_and_not_repeated(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    archive.writestr("a/" * 30_000 + "a.png", b"")
  refused(f"zip:{tmp_path / 'a.zip'}", r"a\.zip has a name of 60005 characters")


@pytest.mark.parametrize("content", [b"", b"PK\5\6", b"no zip at all"])
def test_a_damaged_zip_is_named(tmp_path, content):
  (tmp_path / "a.zip").write_bytes(content)
  refused(f"zip:{tmp_path / 'a.zip'}", r"a\.zip cannot be read as a zip")


def test_a_member_that_is_damaged_is_named(tmp_path):
  with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
    archive.writestr("a.png", png(8, 8, zeros(25 * 8)))
  content = bytearray((tmp_path / "a.zip").read_bytes())
  content[60] ^= 255
  (tmp_path / "a.zip").write_bytes(content)
  refused(f"zip:{tmp_path / 'a.zip'}", r"a\.zip/a\.png cannot be read .*remove or replace it")


# TFDS.


def test_the_files_of_a_data_set_do_not_name_code_to_import(tmp_path, data_dir, monkeypatch):
  source = pathlib.Path(data_dir) / "tiny_shapes"
  target = tmp_path / "data" / "odd_shapes"
  for path in (p for p in source.rglob("*") if p.is_file()):
    copy = target / str(path.relative_to(source)).replace("tiny_shapes", "odd_shapes")
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(path.read_bytes())
  info = next(target.rglob("dataset_info.json"))
  info.write_text(info.read_text().replace("tiny_shapes", "odd_shapes"))
  load_it = lambda: load("tfds:odd_shapes", data_dir=str(tmp_path / "data"))
  assert load_it().size == 30
  (tmp_path / "harmful_feature.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')")
  monkeypatch.syspath_prepend(str(tmp_path))
  features = info.with_name("features.json")
  found = json.loads(features.read_text())
  found["featuresDict"]["features"]["label"]["pythonClassName"] = "harmful_feature.Label"
  features.write_text(json.dumps(found))
  with pytest.raises(
    ValueError, match=r"asks for the code harmful_feature\.Label, which is not run"
  ):
    load_it()
  assert not (tmp_path / "made").exists() and "harmful_feature" not in sys.modules


@pytest.mark.parametrize(
  "name", ["huggingface:mnist", "someone:mnist", "../mnist", "mnist/a=1,b=2"]
)
def test_names_that_mean_code_or_paths_are_refused(name, tmp_path):
  with pytest.raises(ValueError, match="is no name of a TFDS data set"):
    load(f"tfds:{name}", data_dir=str(tmp_path))


def test_archives_do_not_leave_the_folder_they_are_unpacked_to(tmp_path):
  """The paths that TFDS makes of an archive's names, which it joins to that folder."""
  from tensorflow_datasets.core.download import extractor

  names = ["../up", "/absolute", "a/../../up", "./../up", "a/../inside", "inside too", "b/c"]
  tar, squeezed = io.BytesIO(), io.BytesIO()
  with tarfile.open(fileobj=tar, mode="w") as archive:
    for name in names:
      member = tarfile.TarInfo(name)
      member.size = 1
      archive.addfile(member, io.BytesIO(b"x"))
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):  # a link's own content is read, if it is inside
      link = tarfile.TarInfo("link")
      link.type, link.linkname = kind, "/etc/passwd"
      archive.addfile(link)
  with zipfile.ZipFile(squeezed, "w") as archive:
    for name in names:
      archive.writestr(name, b"x")
  for file, iterate in ((tar, extractor.iter_tar), (squeezed, extractor.iter_zip)):
    file.seek(0)
    assert [path for path, _ in iterate(file)] == ["inside", "inside too", "b/c"]
