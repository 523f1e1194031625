"""Files of others: arrays of any type, Parquet, HDF5, WebDataset and TIFF."""

import io
import itertools
import json
import tarfile

import numpy as np
import pytest
from PIL import Image
from small_sets import images, png

from gan_jax.data import Batches, NoSplitError, load, take
from gan_jax.data.pixels import UINT8, Scale
from gan_jax.data.sources.containers.shards import shards

DEEP = np.random.default_rng(0).integers(100, 4000, (12, 7, 5, 4), np.uint16)
DEEP[0, 0, 0] = [100, 200, 300, 3999]
LABELS = np.arange(12) % 3


def test_npy_of_any_type_is_read_in_its_own(tmp_path, caplog):
  np.save(tmp_path / "a.npy", np.asfortranarray(DEEP.transpose(0, 3, 1, 2).astype(">u2")))
  with caplog.at_level("INFO", logger="gan_jax"):
    source = load(f"npy:{tmp_path}/a.npy", axes="NCHW")
  x = source.arrays["x"]
  assert (x == DEEP).all() and x.dtype == np.uint16 and source.scale == Scale("uint16", 100, 3999)
  assert "images of uint16, values from 100 to 3999 (measured)" in caplog.text
  np.save(tmp_path / "a.npy", DEEP[..., :1].astype(np.float64) / 7)
  source = load(f"npy:{tmp_path}/a.npy", value_range=(0, 500))
  assert source.arrays["x"].dtype == np.float32 and source.scale == Scale("float32", 0, 500)


def test_arrays_above_the_limit_stay_in_their_file(tmp_path):
  np.save(tmp_path / "a.npy", DEEP)
  memory, disk = (load(f"npy:{tmp_path}/a.npy", axes="NHWC", memory_limit=m) for m in (10**6, 100))
  assert memory.arrays and not disk.arrays and memory.scale == disk.scale
  for n in (None, 5):
    assert (take(memory, n, 3)["x"] == take(disk, n, 3)["x"]).all()
  np.savez(tmp_path / "a.npz", x=images(6, 8, 8, 3))
  assert load(f"npz:{tmp_path}/a.npz").scale == UINT8


@pytest.mark.parametrize(
  ("x", "options", "reason"),
  [
    (np.zeros((4, 50, 3)), {}, r"\[4, 50, 3\].*axes=NTC or NCT \(series\), NHW \(gray images\)"),
    (np.zeros((4, 5, 6, 7, 2)), {}, r"axes=NDHWC or NCDHW \(volumes\)"),
    (np.zeros((2, 5, 6, 7)), {}, r"axes=NHWC or NCHW \(images\), NDHW \(volumes of one channel\)"),
    (np.zeros((2, 5, 6)), {"axes": "NTC", "image_size": 4}, "has series: image_size and channels"),
    (np.zeros((2, 5, 6, 7, 1)), {"channels": 3}, "has volumes: image_size and channels"),
    (np.zeros((2, 5)), {"value_range": (0, 1)}, "has points, which are not scaled"),
    (np.zeros((2, 5), np.uint8), {}, "axes=NT "),
    (np.ones((2, 5, 4), np.uint16), {"axes": "NTC"}, "values from 1 to 1, which cannot be scaled"),
    (np.full((2, 5, 4), np.nan), {"axes": "NTC"}, "has series that are not finite"),
    (DEEP, {}, "data_options.axes=NHWC or NCHW"),
    (images(2, 3, 3, 3), {}, "data_options.axes=NHWC or NCHW"),
    (DEEP, {"axes": "NHW"}, r"axes NHW are of 3 dimensions"),
    (DEEP, {"axes": "HWC"}, "axes is 'HWC': expected one of NT, NTC"),
    (DEEP.astype(np.int16), {"axes": "NHWC"}, "examples of type int16"),
    (DEEP, {"axes": "NHWC", "channels": 3}, "4 channels have no colour"),
    (np.full((2, 4, 4, 1), np.nan), {}, "not finite"),
    (np.full((2, 4, 4, 1), 1e300), {}, "not finite"),
    (np.ones((2, 4, 4, 1), np.uint16), {}, "values from 1 to 1, which cannot be scaled"),
    (
      images(2, 4, 4, 1),
      {"value_range": (0, 1)},
      "images of uint8, whose values are from 0 to 255",
    ),
    (DEEP, {"axes": "NHWC", "value_range": (1, 0)}, r"expected \(lo, hi\) with lo < hi"),
    (
      DEEP,
      {"axes": "NHWC", "label": "y"},
      "label is for parquet:<dir>, cifar100:<dir>, not for npy",
    ),
    (np.array([None, 1]), {}, "without pickle"),
  ],
)
def test_other_arrays_are_refused(x, options, reason, tmp_path):
  np.save(tmp_path / "a.npy", x, allow_pickle=True)
  for limit in (10**6, 1):
    with pytest.raises(ValueError, match=reason):
      load(f"npy:{tmp_path}/a.npy", memory_limit=limit, **options)


SERIES = {"NTC": (0, 1, 2), "NCT": (0, 2, 1)}
VOLUMES = {"NDHWC": (0, 1, 2, 3, 4), "NCDHW": (0, 4, 1, 2, 3)}


@pytest.mark.parametrize(("axes", "order"), [*SERIES.items(), *VOLUMES.items()])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_series_and_volumes_of_every_order_and_type(axes, order, dtype, tmp_path, caplog):
  x = (np.arange(6 * 7 * 4 * (15 if len(order) == 5 else 1)) % 251).astype(dtype)
  x = x.reshape((6, 7, 5, 3, 4) if len(order) == 5 else (6, 7, 4))
  np.save(tmp_path / "a.npy", x.transpose(order))
  with caplog.at_level("INFO", logger="gan_jax"):
    memory, disk = (load(f"npy:{tmp_path}/a.npy", axes=axes, memory_limit=m) for m in (10**6, 9))
  kind = "series" if len(order) == 3 else "volumes"
  assert memory[:4] == disk[:4] and memory.scale == disk.scale and memory.kind == kind
  assert memory.arrays and not disk.arrays
  for source in (memory, disk):
    assert (take(source)["x"] == x).all()
  told = f"{kind} of {memory.scale.dtype}, values from 0 to {x.max():g} (measured)"
  assert (told in caplog.text) == (dtype != np.uint8)


def test_axes_that_a_shape_says_or_that_are_missing(tmp_path):
  x = np.arange(6 * 5 * 4 * 3, dtype=np.float32).reshape(6, 5, 4, 3)
  for name, stored, axes, shape in (
    ("steps", x[:, :, 0, 0], "NT", (5, 1)),
    ("depth", x, "NDHW", (5, 4, 3, 1)),
    ("last", x[..., None], None, (5, 4, 3, 1)),
    ("first", x[:, None, ..., :2], None, (5, 4, 2, 1)),
  ):
    np.savez(tmp_path / f"{name}.npz", x=stored, y=np.arange(6) % 2)
    source = load(f"npz:{tmp_path}/{name}.npz", axes=axes)
    assert source.shape == shape and source.num_classes == 2
    assert (source.arrays["x"].ravel() == stored.ravel()).all()


@pytest.mark.parametrize("options", [{"flip": True}, {"crop": 2}])
def test_series_are_neither_mirrored_nor_cropped(options, tmp_path):
  np.save(tmp_path / "a.npy", DEEP[..., 0])
  source = load(f"npy:{tmp_path}/a.npy", axes="NTC")
  with pytest.raises(ValueError, match=r"has series: use flip=False|crop .* of images"):
    Batches(source, 4, 0, **options)


def test_npy_that_lies_or_has_no_test_split(tmp_path):
  with pytest.raises(FileNotFoundError, match="there is no file"):
    load(f"npy:{tmp_path}/a.npy")
  np.save(tmp_path / "a.npy", DEEP)
  with pytest.raises(NoSplitError, match="hold_out"):
    load(f"npy:{tmp_path}/a.npy", "test")
  content = (tmp_path / "a.npy").read_bytes()
  (tmp_path / "a.npy").write_bytes(content.replace(b"(12,", b"(99,"))
  with pytest.raises(ValueError, match="cannot be read as an .npy array"):
    load(f"npy:{tmp_path}/a.npy", axes="NHWC")


def test_images_of_any_type_are_resized_by_channel():
  from gan_jax.data.sources.images import fit

  smooth = np.linspace(0, 60_000, 32 * 32 * 5).reshape(32, 32, 5)
  for dtype in (np.uint16, np.float32):
    small = fit(smooth.astype(dtype), 16, 5)
    assert small.shape == (16, 16, 5) and small.dtype == dtype
    # Of a linear slope the mean of four pixels remains, but at the border.
    means = smooth.reshape(16, 2, 16, 2, 5).mean(axis=(1, 3))
    assert abs(small.astype(float) - means)[3:-3, 3:-3].max() < 2


PIXELS = images(6, 8, 9, 3)
FLAT = np.tile(images(6, 1, 1, 3), (1, 16, 18, 1))  # smaller as a PNG than decoded


def write_parquet(path, names=None, bare=False, **columns) -> None:
  import pyarrow as pa
  import pyarrow.parquet as pq

  path.parent.mkdir(parents=True, exist_ok=True)
  content = [png(image) for image in columns.pop("pixels", PIXELS)]
  image = content if bare else [{"bytes": each, "path": "no/such.png"} for each in content]
  table = pa.table({"image": image, **columns})
  if names:
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    info = json.dumps({"info": {"features": features}})
    table = table.replace_schema_metadata({"huggingface": info})
  pq.write_table(table, path, row_group_size=2)


def test_parquet_reads_parts_splits_and_names_of_classes(tmp_path):
  label, names = [2, 0, 1, 1, 0, 2], ["ant", "bee", "cat", "dog"]
  for i in range(2):
    half = slice(3 * i, 3 * i + 3)
    path = tmp_path / "data" / f"train-0000{i}-of-00002.parquet"
    write_parquet(path, names, pixels=FLAT[half], label=label[half])
  write_parquet(
    tmp_path / "data" / "test-00000-of-00001.parquet", names, pixels=FLAT[:1], label=[3]
  )
  for limit in (10**6, 2000):  # decoded at once, or batch by batch
    source = load(f"parquet:{tmp_path}", memory_limit=limit)
    assert (take(source)["x"] == FLAT).all() and take(source)["y"].tolist() == label
    assert source.classes == tuple(names) and bool(source.arrays) == (limit > 2000)
  test = load(f"parquet:{tmp_path}", "test")
  assert test.arrays["y"].tolist() == [3] and test.num_classes == 4
  path.unlink()
  with pytest.raises(ValueError, match="1 of 2 parts train-...: part 00001 is missing"):
    load(f"parquet:{tmp_path}")


@pytest.mark.parametrize("data", ["", "imagenet1k-", "my_set_"])
@pytest.mark.parametrize("test", ["test", "testing", "val", "validation", "dev", "eval", "Eval"])
def test_files_of_a_split_have_the_names_that_folders_have(test, data, tmp_path):
  names = {"train": f"{data}train-00000.tar", "test": f"{data}{test}-00000.tar"}
  for name in names.values():
    (tmp_path / name).touch()
  found = shards("tars", tmp_path, ".tar", "train")
  assert {split: [path.name for path in paths] for split, paths in found.items()} == {
    split: [name] for split, name in names.items()
  }


def test_parquet_without_a_description(tmp_path):
  path = tmp_path / "a.parquet"
  write_parquet(path, bare=True, label=[5, 2, 2, 5, 5, 9], text=["a label"] * 6)
  source = load(f"parquet:{path}")
  assert source.class_names == ("2", "5", "9") and (source.arrays["x"] == PIXELS).all()
  with pytest.raises(NoSplitError, match="no test split"):
    load(f"parquet:{path}", "test")
  write_parquet(path, fine_label=[5, 2, 2, 5, 5, 9], coarse_label=[1, 0, 0, 1, 1, 0])
  with pytest.raises(ValueError, match="fine_label, coarse_label: choose one"):
    load(f"parquet:{path}")
  assert load(f"parquet:{path}", label="coarse_label").num_classes == 2
  write_parquet(path)
  assert load(f"parquet:{path}").num_classes is None


def test_parquet_that_lacks_values_is_refused(tmp_path):
  import pyarrow as pa
  import pyarrow.parquet as pq

  path = tmp_path / "a.parquet"
  refused = lambda reason: pytest.raises(ValueError, match=reason)
  write_parquet(path, names=["no", "yes"], label=[0, 1, -1, 0, 1, 0])
  with refused(r"a\.parquet \(column label\) reach from -1 to 1.*-1 often means"):
    load(f"parquet:{path}")
  write_parquet(path, label=[0, 1, None, 0, 1, 0])
  with refused(r"a\.parquet has a row without a label"):
    load(f"parquet:{path}")
  struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
  paths = pa.array([{"bytes": None, "path": "images/0.png"}], struct)
  pq.write_table(pa.table({"image": paths}), path)
  with refused(r"a\.parquet: the column image has a path, 'images/0\.png', and no bytes"):
    load(f"parquet:{path}")
  write_parquet(path)
  with refused("more than memory_limit=100 bytes of encoded images"):
    load(f"parquet:{path}", memory_limit=100)
  path.write_bytes(path.read_bytes()[:-20])
  with refused(r"a\.parquet cannot be read as Parquet"):
    load(f"parquet:{path}")


def write_tar(path, members) -> None:
  with tarfile.open(path, "w") as archive:
    for name, content in members:
      member = tarfile.TarInfo(name)
      member.size = len(content)
      archive.addfile(member, io.BytesIO(content))


def test_webdataset_groups_members_by_key(tmp_path):
  y = [b"4\n", b"0", b"4", b"7", b"0", b"0"]
  for shard in range(2):
    rows = range(3 * shard, 3 * shard + 3)
    pairs = [[(f"./00/{i}.cls", y[i]), (f"./00/{i}.in.png", png(PIXELS[i]))] for i in rows]
    write_tar(tmp_path / f"train-{shard}.tar", [*itertools.chain(*pairs), ("00/README", b"no dot")])
  write_tar(tmp_path / "test-0.tar", [("0.cls", b"7"), ("0.png", png(PIXELS[0]))])
  for name in (f"{tmp_path}", f"{tmp_path}/train-{{0..1}}.tar"):
    for limit in (10**6, 100):
      source = load(f"webdataset:{name}", memory_limit=limit)
      assert (take(source)["x"] == PIXELS).all() and source.class_names == ("0", "4", "7")
      assert take(source)["y"].tolist() == [1, 0, 1, 2, 0, 0]
  assert load(f"webdataset:{tmp_path}", "test").arrays["y"].tolist() == [2]


@pytest.mark.parametrize(
  ("members", "reason"),
  [
    ([("a.png", "image"), ("b.txt", b"b")], "the example b has no image, only .txt"),
    ([("a.png", "image"), ("a.seg.png", "image")], "several images, .png, .seg.png"),
    ([("a.png", "image"), ("a.png", "image")], "two members a.png"),
    ([("a.png", "image"), ("b.png", "image"), ("b.cls", b"1")], "a.png has no label .cls"),
    ([("a.png", "image"), ("a.cls", b"cat")], "'cat': expected a whole number"),
    ([("a.png", "image"), ("a.cls", b"-1")], "reach from -1"),
    ([("README", b"")], "has no images"),
  ],
)
def test_webdataset_errors_name_the_key(members, reason, tmp_path):
  image = png(PIXELS[0])
  write_tar(tmp_path / "a.tar", [(n, image if c == "image" else c) for n, c in members])
  with pytest.raises(ValueError, match=reason):
    load(f"webdataset:{tmp_path}/a.tar")


def test_damaged_tar_files_are_refused(tmp_path):
  write_tar(tmp_path / "a.tar", [("a.png", png(PIXELS[0])), ("b.png", bytes(3000))])
  content = (tmp_path / "a.tar").read_bytes()
  for damaged in (b"", b"no tar" * 200, content[:2500]):
    (tmp_path / "a.tar").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"a\.tar"):
      load(f"webdataset:{tmp_path}/a.tar")
  with pytest.raises(FileNotFoundError, match="there is no .*-1.tar"):
    load(f"webdataset:{tmp_path}/a-{{1..3}}.tar")
  with pytest.raises(ValueError, match="expected at most"):
    load(f"webdataset:{tmp_path}/a-{{1..99999999}}.tar")


def test_hdf5_of_either_order_of_axes(tmp_path):
  h5py = pytest.importorskip("h5py")
  path = tmp_path / "small_train.hdf5"

  def write(imgs, path=path, labels=LABELS[:6], **options) -> None:
    path.unlink(missing_ok=True)  # another source may still read it
    with h5py.File(path, "w") as file:
      file.create_dataset("imgs", data=imgs, **options)
      file["labels"] = labels

  for imgs in (PIXELS, PIXELS.transpose(0, 3, 1, 2)):
    write(imgs, compression="lzf")
    for limit in (10**6, 100):
      source = load(f"hdf5:{path}", memory_limit=limit)
      assert (take(source)["x"] == PIXELS).all() and bool(source.arrays) == (limit > 100)
      assert (take(source, 4, 1)["y"] == take(load(f"hdf5:{path}"), 4, 1)["y"]).all()
  with pytest.raises(NoSplitError):
    load(f"hdf5:{path}", "test")
  write(PIXELS[:2], tmp_path / "small_test.hdf5", labels=[2, 1])
  assert load(f"hdf5:{path}", "test").arrays["y"].tolist() == [2, 1]
  write(images(6, 3, 3, 3))
  with pytest.raises(ValueError, match="data_options.axes=NHWC or NCHW"):
    load(f"hdf5:{path}")
  assert load(f"hdf5:{path}", axes="NHWC").shape == (3, 3, 3)
  write(PIXELS, labels=[1, 2])
  with pytest.raises(ValueError, match="has 6 images and 2 labels"):
    load(f"hdf5:{path}")


def test_hdf5_reads_its_own_file_alone(tmp_path):
  h5py = pytest.importorskip("h5py")
  path = tmp_path / "a.hdf5"
  with h5py.File(path, "w") as file:
    file["imgs"] = h5py.ExternalLink("other.hdf5", "/imgs")
  with pytest.raises(ValueError, match="imgs is a link"):
    load(f"hdf5:{path}")
  with h5py.File(path, "w") as file:
    file.create_dataset("imgs", (2**30, 64, 64, 3), np.uint8, chunks=(1, 64, 64, 3))
  with pytest.raises(ValueError, match="more than the file can hold"):
    load(f"hdf5:{path}")
  path.write_bytes(b"not HDF5")
  with pytest.raises(ValueError, match="cannot be read as HDF5"):
    load(f"hdf5:{path}")


def test_tiff_of_many_channels_in_folders(tmp_path):
  tifffile = pytest.importorskip("tifffile")
  write = lambda i, x, **options: tifffile.imwrite(tmp_path / f"{i}.tif", x, **options)
  write(0, DEEP[0], planarconfig="contig", photometric="minisblack")
  write(1, DEEP[1].transpose(2, 0, 1), planarconfig="separate", photometric="minisblack")
  write(2, DEEP[2].transpose(2, 0, 1), ome=True, metadata={"axes": "CYX"}, photometric="minisblack")
  for limit in (10**6, 100):
    source = load(f"folder:{tmp_path}", memory_limit=limit)
    assert (take(source)["x"] == DEEP[:3]).all() and source.scale.dtype == "uint16"
  with pytest.raises(ValueError, match="4 channels of uint16, which are not turned into 3"):
    load(f"folder:{tmp_path}", channels=3)
  write(2, DEEP[2, ..., 0])
  with pytest.raises(ValueError, match="0.tif is of 4 channels|0.tif is colour"):
    load(f"folder:{tmp_path}")
  write(2, DEEP[:3, ..., 0], photometric="minisblack")
  with pytest.raises(ValueError, match=r"2\.tif has the axes QYX \[3, 7, 5\]"):
    load(f"folder:{tmp_path}")
  (tmp_path / "2.tif").write_bytes((tmp_path / "1.tif").read_bytes()[:200])
  with pytest.raises(ValueError, match=r"2\.tif cannot be read as TIFF"):
    load(f"folder:{tmp_path}")


def test_tiff_of_8_bits_needs_no_other_reader(tmp_path):
  for i, image in enumerate(PIXELS):
    Image.fromarray(image).save(tmp_path / f"{i}.tif")
  source = load(f"folder:{tmp_path}")
  assert (source.arrays["x"] == PIXELS).all() and source.scale == UINT8
