"""A user's folder of images: what is read, and that every mistake is named before training."""

import zlib

import numpy as np
import pytest
from PIL import Image
from small_sets import images, write_images

from gan_jax.data import Batches, NoSplitError, load, take


def save(path, array: np.ndarray, **options) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(array).save(path, **options)


def test_pixels_and_labels_are_those_of_the_files(tmp_path):
  for label, name in enumerate(("a", "b", "C")):
    write_images(tmp_path / name, images(3 + label, 5, 7, 3))
  (tmp_path / "a" / "notes.txt").write_text("not an image")
  (tmp_path / ".cache").mkdir()
  source = load(f"folder:{tmp_path}")
  order = ("C", "a", "b")  # as sorted() orders names
  expected = np.concatenate([images({"a": 3, "b": 4, "C": 5}[name], 5, 7, 3) for name in order])
  assert (source.arrays["x"] == expected).all()
  assert source.arrays["y"].tolist() == [0] * 5 + [1] * 3 + [2] * 4
  assert source.num_classes == 3


def test_jpeg_is_decoded(tmp_path):
  smooth = np.tile(np.linspace(0, 255, 16, dtype=np.uint8)[:, None, None], (1, 16, 3))
  save(tmp_path / "a.JPG", smooth, quality=95)
  assert np.abs(load(f"folder:{tmp_path}").arrays["x"][0].astype(int) - smooth).max() < 8


def test_splits(tmp_path):
  write_images(tmp_path / "all", images(3, 4, 4, 1))
  assert load(f"folder:{tmp_path / 'all'}").size == 3
  with pytest.raises(NoSplitError, match=r"has no folder test/.*put images into .*all.test"):
    load(f"folder:{tmp_path / 'all'}", "test")
  write_images(tmp_path / "split" / "train" / "a", images(3, 4, 4, 1))
  write_images(tmp_path / "split" / "train" / "b", images(3, 4, 4, 1))
  write_images(tmp_path / "split" / "test" / "b", images(2, 4, 4, 1))
  test = load(f"folder:{tmp_path / 'split'}", "test")
  assert test.num_classes == 2 and test.arrays["y"].tolist() == [1, 1]  # b is 1 in both splits
  write_images(tmp_path / "split" / "test" / "new", images(2, 4, 4, 1))
  with pytest.raises(
    ValueError, match=r"examples of class new in one split that are no class of its training"
  ):
    load(f"folder:{tmp_path / 'split'}", "test")


def test_crop_and_resize_take_the_middle(tmp_path):
  """As resizing the whole and then cropping would; Pillow rounds to within one grey."""
  wide = images(1, 8, 24, 3)[0]
  save(tmp_path / "a.png", wide)
  save(tmp_path / "b.png", wide.transpose(1, 0, 2).copy())
  for size in (4, 8, 16):
    x = load(f"folder:{tmp_path}", image_size=size).arrays["x"].astype(int)
    resized = Image.fromarray(wide).resize((3 * size, size), Image.Resampling.LANCZOS)
    expected = np.asarray(resized).astype(int)[:, size : 2 * size]
    assert np.abs(x[0] - expected).max() <= 1
    assert np.abs(x[1] - x[0].transpose(1, 0, 2)).max() <= 1


def test_shrinking_is_antialiased(tmp_path):
  stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
  save(tmp_path / "a.png", stripes)
  x = load(f"folder:{tmp_path}", image_size=8).arrays["x"].astype(int)
  assert np.abs(x - 127.5).max() < 12  # picking pixels would give 0 or 255


def test_colour_and_gray(tmp_path):
  red = np.zeros((4, 4, 3), np.uint8) + np.array([255, 0, 0], np.uint8)
  save(tmp_path / "a.png", red)
  save(tmp_path / "b.png", red[..., 1])
  with pytest.raises(
    ValueError, match=r"a\.png is colour.*b\.png is gray.*--config.data_options.channels=3"
  ):
    load(f"folder:{tmp_path}")
  assert load(f"folder:{tmp_path}", channels=3).arrays["x"][:, 0, 0].tolist() == [
    [255, 0, 0],
    [0, 0, 0],
  ]
  assert load(f"folder:{tmp_path}", channels=1).arrays["x"][:, 0, 0, 0].tolist() == [76, 0]


def test_transparency_is_an_error_unless_asked_and_then_white(tmp_path):
  half = np.zeros((4, 4, 4), np.uint8)
  half[:2, :, 3] = 255
  save(tmp_path / "a.png", half)
  with pytest.raises(
    ValueError, match=r"a\.png is colour with transparency: --config.data_options.channels=3"
  ):
    load(f"folder:{tmp_path}")
  x = load(f"folder:{tmp_path}", channels=3).arrays["x"][0]
  assert (x[:2] == 0).all() and (x[2:] == 255).all()


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".avif", ".png"])
def test_photographs_that_lie_on_their_side_are_upright_in_the_header_too(suffix, tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6  # rotate by 270 degrees
  lying, standing = np.zeros((8, 16, 3), np.uint8), np.zeros((16, 8, 3), np.uint8)
  lying[:, :8] = standing[:8] = 255
  save(tmp_path / f"a{suffix}", lying, exif=exif, quality=95)
  save(tmp_path / f"b{suffix}", standing, quality=95)
  if suffix == ".png":
    behind_the_pixels(tmp_path / "a.png")
  for limit in (10**9, 10):  # in memory, and streamed
    x = take(load(f"folder:{tmp_path}", memory_limit=limit))["x"].astype(int)
    assert x.shape == (2, 16, 8, 3)
    assert x[:, :6].min() > 200 and x[:, -6:].max() < 55  # left has become top
  save(tmp_path / f"c{suffix}", lying, quality=95)
  with pytest.raises(
    ValueError, match=r"differ in size: .*a.* is 8 x 16, .*c.* is 16 x 8\. --config"
  ):
    load(f"folder:{tmp_path}", memory_limit=10)
  assert load(f"folder:{tmp_path}", image_size=8).size == 3


def behind_the_pixels(path) -> None:
  """Moves the EXIF data of a PNG to where some programs write them."""
  content = path.read_bytes()
  at = content.index(b"eXIf") - 4
  size = 12 + int.from_bytes(content[at : at + 4], "big")
  end = content.index(b"IEND") - 4
  path.write_bytes(
    content[:at] + content[at + size : end] + content[at : at + size] + content[end:]
  )


@pytest.mark.parametrize("suffix", ["bmp", "dib", "gif", "tif", "TIFF", "ppm", "jfif", "avif"])
def test_other_formats_are_read(suffix, tmp_path):
  smooth = np.tile(np.linspace(0, 255, 16, dtype=np.uint8)[:, None, None], (1, 16, 3))
  save(tmp_path / f"a.{suffix}", smooth)
  save(tmp_path / "b.png", smooth)
  x = load(f"folder:{tmp_path}", channels=1).arrays["x"].astype(int)  # a gray GIF has no colours
  assert len(x) == 2 and abs(x[0, ..., 0] - smooth[..., 0]).max() < 8  # of lossy formats


def test_what_is_left_out_is_told(tmp_path, caplog):
  write_images(tmp_path, images(2, 4, 4, 3))
  for name in ("a.heic", "b.HEIC", "notes.txt", "c"):
    (tmp_path / name).write_bytes(b"?")
  frames = [Image.fromarray(image) for image in images(3, 4, 4, 3)]
  frames[0].save(tmp_path / "moves.gif", save_all=True, append_images=frames[1:])
  with caplog.at_level("WARNING", logger="gan_jax"):
    source = load(f"folder:{tmp_path}", channels=3)
  assert source.size == 3
  assert "left out" in caplog.text and "2 of .heic (a.heic), 1 of no ending (c)" in caplog.text
  assert "1 files are animated or have several pages" in caplog.text and "moves.gif" in caplog.text


# Mistakes.


def test_missing_and_empty_folders(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
    load("folder:nowhere", data_dir=str(tmp_path))
  with pytest.raises(FileNotFoundError, match=r"has no images \(\.png"):
    load(f"folder:{tmp_path}")
  write_images(tmp_path / "a", images(2, 4, 4, 3))
  (tmp_path / "b").mkdir()
  with pytest.raises(FileNotFoundError, match=r"b has no images .*put some there, or remove it"):
    load(f"folder:{tmp_path}")


def test_images_beside_class_folders(tmp_path):
  write_images(tmp_path, images(2, 4, 4, 3))
  write_images(tmp_path / "a", images(2, 4, 4, 3))
  with pytest.raises(ValueError, match=r"has images \(000\.png, \.\.\.\) beside folders \(a, "):
    load(f"folder:{tmp_path}")


def test_mixed_sizes(tmp_path):
  write_images(tmp_path, images(2, 4, 6, 3))
  save(tmp_path / "z.png", images(1, 5, 6, 3)[0])
  with pytest.raises(
    ValueError, match=r"000\.png is 6 x 4, .*z\.png is 6 x 5\. --config.data_opt.*image_size="
  ):
    load(f"folder:{tmp_path}")
  assert load(f"folder:{tmp_path}", image_size=4).size == 3


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_damaged_files_are_named(suffix: str, tmp_path):
  write_images(tmp_path, images(3, 32, 32, 3), suffix)
  bad = tmp_path / f"001{suffix}"
  content = bad.read_bytes()
  for damaged in (content[: len(content) // 2], b"", b"no image at all", content[:20]):
    bad.write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"001\{suffix} cannot be read as .*remove or replace it"):
      load(f"folder:{tmp_path}")


def test_damage_in_a_streamed_folder_is_named_too(tmp_path):
  write_images(tmp_path, images(4, 32, 32, 3))
  bad = tmp_path / "001.png"
  bad.write_bytes(bad.read_bytes()[:200])
  source = load(f"folder:{tmp_path}", memory_limit=100)  # headers are fine, so this opens
  with pytest.raises(ValueError, match=r"001\.png cannot be read"):
    next(Batches(source, 4, 0).stream())


def test_decompression_bombs_are_refused(tmp_path):
  """PNG headers that promise just above our own limit, a hundred million, ten billion pixels."""
  from gan_jax.data.sources.images import MAX_PIXELS

  save(tmp_path / "a.png", images(1, 2, 2, 3)[0])
  content = (tmp_path / "a.png").read_bytes()
  for side in (int(MAX_PIXELS**0.5) + 1, 10_000, 100_000):
    header = content[12:16] + side.to_bytes(4, "big") * 2 + content[24:29]
    checksum = zlib.crc32(header).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content[:12] + header + checksum + content[33:])
    with pytest.raises(ValueError, match=r"a\.png (has|is far) .*shrink it, or remove it"):
      load(f"folder:{tmp_path}", image_size=4)


def test_deep_gray_is_refused(tmp_path):
  save(tmp_path / "a.png", np.full((4, 4), 60_000, np.uint16))
  with pytest.raises(ValueError, match=r"a\.png has pixels of type 'I;16'.*convert it to 8 bits"):
    load(f"folder:{tmp_path}")


def test_streamed_examples_equal_those_in_memory(tmp_path):
  write_images(tmp_path / "a", images(5, 9, 12, 3))
  write_images(tmp_path / "b", images(6, 12, 9, 3))
  memory, disk = (
    take(load(f"folder:{tmp_path}", image_size=8, memory_limit=m)) for m in (10**9, 10)
  )
  assert (memory["x"] == disk["x"]).all() and (memory["y"] == disk["y"]).all()
