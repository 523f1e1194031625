"""Short names that the field uses, and ours: each is replaced where it comes in, and nowhere later.

A config, a row and a card hold our names alone, so that `lsgan` and `least_squares` are one loss.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

# A whole schedule, for errors and docs.
SCHEDULE = "{'schedule': 'cosine_decay_schedule', 'init_value': 2e-4, 'decay_steps': 9000}"
METRICS = {
  "fid": "frechet",
  "kid": "kernel",
  "is": "inception_score",
  "ppl": "path_length",
  "cas": "accuracy_score",
  "sfid": "spatial_frechet",
  "intra_fid": "class_frechet",
  "swd": "sliced_wasserstein",
  "cmmd": "rbf_mmd",
}
LOSSES = {
  "mmgan": "minimax",
  "nsgan": "non_saturating",
  "lsgan": "least_squares",
  "wgan": "wasserstein",
  "rpgan": "relativistic",
  "rsgan": "relativistic",
  "ragan": "relativistic_average",
  "rasgan": "relativistic_average",
  "rahinge": "relativistic_average_hinge",
  "rahingegan": "relativistic_average_hinge",
  "ralsgan": "relativistic_average_least_squares",
}
DTYPES = {
  "bf16": "bfloat16",
  "fp16": "float16",
  "f16": "float16",
  "half": "float16",
  "fp32": "float32",
  "f32": "float32",
}
_SHORT = {"loss": LOSSES, "metric": METRICS, "dtype": DTYPES}
# Names that others give to what is another thing here, or none, with what to type.
ELSEWHERE = {
  "lpips": "LPIPS is a distance of two images, and no score of many; how far fakes are apart for "
  "the same network, over real images, is --metrics=diversity --features=vgg16 (LPIPS itself: "
  "gan_jax.metrics.features.vgg16.lpips)",
  "wgan_gp": "it is two keys: --config.loss=wasserstein --config.regularizers.gradient_penalty=10",
  "r3gan": "it is three keys: --config.loss=relativistic --config.regularizers.r1=1 "
  "--config.regularizers.r2=1",
  **dict.fromkeys(
    ("precision", "recall", "density", "coverage"), "it is one of the scores of --metrics=prdc"
  ),
}

# Options of published code (StyleGAN2-ADA, R3GAN, BigGAN-PyTorch, StudioGAN), with what to type.
_R1 = "--config.regularizers.r1, of ½‖g‖²: the published gamma"
_RATES = "--config.optimizers.PLAYER.learning_rate"
PUBLISHED = {
  "adv_loss": "--config.loss",
  "apply_diffaug": "--config.augmentation.name=diffaugment",
  "aug": "--config.augmentation.name=ada",
  "augpipe": "--config.augmentation.pipe, with --config.augmentation.name=ada",
  "batch": "--config.batch_size",
  "cond": "--config.conditional=True",
  "d_lr": _RATES,
  "d_reg_interval": "--config.regularizer_options.r1.every",
  "d_updates_per_step": "--config.k",
  "diffaug": "--config.augmentation.name=diffaugment",
  "ema_decay": "--config.average.decay",
  "ema_kimg": "--config.average.name=half_life --config.average.half_life, in images",
  "freezed": "--config.optimizers.discriminator.freeze=b32,b16, names of layers",
  "g_lr": _RATES,
  "g_reg_interval": "--config.regularizer_options.path_length.every",
  "gamma": _R1,
  "gpus": "--config.mesh.data; all devices are used by default",
  "kimg": "--config.rounds",
  "lr": _RATES,
  "mirror": "--config.data_options.flip=True",
  "noise_mode": "--config.generator.noise",
  "num_d_steps": "--config.k",
  "outdir": "--workdir",
  "pl_weight": "--config.generator_regularizers.path_length",
  "r1_gamma": _R1,
  "r1_interval": "--config.regularizer_options.r1.every",
  "resume": "the same --workdir resumes; networks of another run are --start_from=RUN",
  "snap": "--config.checkpoint_every and --config.sample_every",
  "style_mixing_prob": "--config.generator.mixing",
  "total_steps": "--config.rounds",
  "trunc": "--truncation of gan_jax sample",
  "truncation_cutoff": "--config.generator.cutoff, while it is trained",
  "truncation_psi": "--truncation of gan_jax sample",
  "z_dim": "--config.latent.dim",
}


def published(name: str) -> str:
  """Formats what an option of published code is here: '. Here it is ...', or nothing."""
  option = PUBLISHED.get(_plain(name))
  return f". Here it is {option}" if option else ""


def canonical(key: str, value: Any) -> Any:
  """Replaces a short name by ours, where a key of the config holds such names.

  Args:
    key: dotted key of the config.
    value: value at the key.

  Returns:
    The value, with our names.
  """
  if key == "loss":
    return _of(LOSSES, value)
  if key.split(".")[-1] == "dtype":
    return _of(DTYPES, value)
  if key == "evaluation.metrics" and isinstance(value, list | tuple):
    entries = [entry.split(",") if isinstance(entry, str) else [entry] for entry in value]
    return tuple(metric_name(metric) for entry in entries for metric in entry)
  return value


def unknown(name: str, names: Iterable[str], kind: str) -> str:
  """Formats the error of an unknown name: the valid ones, and the nearest of them."""
  valid = sorted(names)
  hint = ELSEWHERE.get(_plain(str(name)))
  hint = f"; {hint}" if hint else near(name, [*valid, *_SHORT.get(kind, ())])
  if len(words := str(name).split()) > 1:
    hint = f"; with commas between, as in {','.join(words)}, they are {len(words)} names"
  # Of many, those of its role: what ends as it does, such as "_generator".
  of_role = [other for other in valid if other.endswith(f"_{str(name).rpartition('_')[2]}")]
  expected = ", ".join(of_role if kind == "network" and of_role else valid)
  return f"unknown {kind} {name!r}; expected one of: {expected}{hint}"


def near(name: str, names: Iterable[str]) -> str:
  """Suggests what was meant: '. Did you mean "hinge"?', or nothing where nothing is near."""
  valid = sorted(names)
  close = difflib.get_close_matches(str(name), valid, n=2)
  close = close or [other for other in valid if len(str(name)) > 2 and str(name) in other][:2]
  guesses = " or ".join(f'"{other}"' for other in close)
  return f". Did you mean {guesses}?" if close else ""


def metric_name(name: Any) -> Any:
  """Replaces a short name of a metric by ours, in whatever case: "FID" by "frechet"."""
  return _of(METRICS, _plain(name)) if isinstance(name, str) else name


def _of(aliases: Mapping[str, str], name: Any) -> Any:
  return aliases.get(_plain(name), name) if isinstance(name, str) else name


def _plain(name: str) -> str:
  return name.lower().replace("-", "_")
