"""Files by the packages and scripts that write them, against checksums of their content."""

import hashlib
import importlib.util
import json
import pathlib
import shutil

import numpy as np
import pytest

from gan_jax.data import load, take

CASES = pathlib.Path(__file__).parents[3] / "shared" / "cases" / "containers"
PACKAGES = {"hdf5": "h5py", "tiff": "tifffile"}

# (folder, case) -> (name of the data, options of `load`).
READ = {
  ("cifar", "cifar10_python"): ("cifar10:cifar-10-batches-py", {}),
  ("cifar", "cifar10_binary"): ("cifar10:cifar-10-batches-bin", {}),
  ("cifar", "cifar100_python"): ("cifar100:cifar-100-python", {}),
  ("cifar", "imagenet32_pickle"): ("imagenet:imagenet32_pickle", {}),
  ("emnist_idx", "emnist_letters"): ("idx:.", {}),
  ("hdf5", "biggan_nchw_lzf"): ("hdf5:ILSVRC32.hdf5", {}),
  ("hdf5", "studiogan_nhwc"): ("hdf5:Tiny_32_train.hdf5", {}),
  ("hdf5", "studiogan_old_nchw"): ("hdf5:old_tiny_16_train.hdf5", {}),
  ("hf_parquet", "mnist_like"): ("parquet:mnist", {}),
  ("hf_parquet", "cifar100_like"): ("parquet:cifar100", {"label": "fine_label"}),
  ("hf_parquet", "captions_jpeg"): ("parquet:captions_jpeg", {}),
  ("hf_parquet", "pyarrow_plain"): ("parquet:pyarrow_plain.parquet", {}),
  ("hf_parquet", "raw_binary_column"): ("parquet:raw_binary_column.parquet", {}),
  ("hf_parquet", "exif_rotated"): ("parquet:exif_rotated.parquet", {}),
  ("npy", "images_uint16_5ch"): ("npy:images_uint16_5ch.npy", {"axes": "NHWC"}),
  ("npy", "series_float32"): ("npy:series_float32.npy", {"axes": "NTC"}),
  ("npy", "series_fortran"): ("npy:series_fortran.npy", {"axes": "NTC"}),
  ("npy", "volumes_float32"): ("npy:volumes_float32.npy", {}),
  ("npz", "guided_diffusion_labels"): ("npz:samples_8x16x16x3.npz", {}),
  ("npz", "medmnist_rgb"): ("npz:pathmnist.npz", {}),
  ("npz", "downsampled_imagenet_npz"): ("imagenet:imagenet32", {}),
  ("npz", "biggan_samples"): ("npz:biggan_samples.npz", {}),
  ("stl10_bin", "stl10_train"): ("stl10:.", {}),
  ("stylegan_zip", "rgb_labels"): ("zip:rgb_labels.zip", {}),
  ("stylegan_zip", "gray_labels_null"): ("zip:gray_labels_null.zip", {}),
  ("stylegan_zip", "folder_form"): ("folder:folder_form", {}),
  ("stylegan_zip", "shuffled_json_subfolders"): ("zip:shuffled_json_subfolders.zip", {}),
  ("svhn_mat", "svhn"): ("svhn:.", {}),
  ("tiff", "contig"): ("folder:contig", {}),
  ("tiff", "separate"): ("folder:separate", {}),
  ("tiff", "ome"): ("folder:.", {}),
  ("webdataset", "png_cls_json"): ("webdataset:train-{000000..000001}.tar", {}),
  ("webdataset", "jpg_txt_json"): ("webdataset:captions-000000.tar", {}),
  ("webdataset", "by_tar"): ("webdataset:by_tar.tar", {}),
}
REFUSED = {
  ("hdf5", "ambiguous_3"): ("hdf5:ambiguous_3.hdf5", "axes=NHWC or NCHW"),
  ("hdf5", "lengths_differ"): ("hdf5:lengths_differ.hdf5", "has 4 images and 3 labels"),
  ("hf_parquet", "path_only"): ("parquet:path_only.parquet", r"column image .*images/0\.png"),
  ("hf_parquet", "label_minus_one"): ("parquet:label_minus_one.parquet", "column label.* -1"),
  ("hf_parquet", "mixed_sizes_modes"): ("parquet:mixed_sizes_modes.parquet", "channels=3"),
  ("npy", "volumes_uint8_no_channel"): ("npy:volumes_uint8_no_channel.npy", "axes=.*NDHW"),
  ("npz", "medmnist_gray_multilabel"): ("npz:chestmnist.npz", "a flag for every class"),
  ("stylegan_zip", "label_missing_for_one"): ("zip:label_missing_for_one.zip", "img00000003.png"),
  ("tiff", "pages_zlib"): ("folder:.", r"pages\.tif has the axes QYX"),
}
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside the checkout")


def case_of(folder, case, tmp_path):
  """Returns what is expected of a case, and a folder with its files alone."""
  if (package := PACKAGES.get(folder)) and importlib.util.find_spec(package) is None:
    pytest.skip(f"{package} is not installed")
  cases = json.loads((CASES / folder / "expected.json").read_text())["cases"]
  (expected,) = (each for each in cases if each["name"] == case)
  for file in expected["files"]:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CASES / folder / file, tmp_path / file)
  return expected


@pytest.mark.parametrize("limit", [1 << 30, 8000])  # in memory, and read as it is used
@pytest.mark.parametrize(("folder", "case"), READ)
def test_files_are_read_as_they_were_written(folder, case, limit, tmp_path):
  expected = case_of(folder, case, tmp_path)
  name, options = READ[folder, case]
  where = {"data_dir": str(tmp_path), "memory_limit": limit, **options}
  for split in expected["splits"].keys() & {"train", "test"}:
    try:
      source = load(name, split, **where)
    except ValueError as error:
      if limit == 8000 and "memory_limit" in str(error):
        pytest.skip("this format is read whole")
      raise
    array, labels = expected["splits"][split]["array"], expected["splits"][split]["labels"]
    raw = take(source)
    assert list(raw["x"].shape) == array["shape"] and str(raw["x"].dtype) == array["dtype"]
    if "quadrant_means_of_first" not in array:  # of JPEGs decoders differ
      digest = hashlib.sha256(np.ascontiguousarray(raw["x"])).hexdigest()
      wrong = {value: key for key, value in array.get("sha256_if", {}).items()}
      assert digest == array["sha256"], wrong.get(digest)
    assert ("y" in raw) == (labels is not None)
    if labels is not None and raw["y"].tolist() != labels:  # classes are those that occur
      assert [int(source.classes[i]) for i in raw["y"]] == labels
    if names := expected.get("class_names"):
      assert source.classes == tuple(names)


@pytest.mark.parametrize(("folder", "case"), REFUSED)
def test_files_that_cannot_be_read_are_refused_by_name(folder, case, tmp_path):
  expected = case_of(folder, case, tmp_path)
  name, reason = REFUSED[folder, case]
  with pytest.raises(ValueError, match=reason) as error:
    load(name, data_dir=str(tmp_path))
  assert pathlib.Path(expected["files"][0]).name.split(".")[0] in str(error.value)


def test_every_case_is_tried():
  folders = [path.parent for path in CASES.glob("*/expected.json")]
  cases = {
    (folder.name, case["name"])
    for folder in folders
    for case in json.loads((folder / "expected.json").read_text())["cases"]
    if folder.name != "fid_statistics"  # of scores
  }
  assert cases == {*READ, *REFUSED}
