"""An adversarial flow from a Gaussian to a ring of eight Gaussians, in one step or in several.

Paper:    AFM, arXiv:2511.22475, with the penalties, the transport and the normalised gradient of
          its code for images, and steps of any length: `sample --sampler=steps_4` takes four.
Command:  launch/run train --config=experiments/ring_flow.py --workdir=runs/ring_flow
Hardware: 2 cores of an AMD EPYC beside much other work, jax 0.10.2
Time:     under two minutes
Score:    not good: 0.6% of one-step samples within 3 std of a mode (8 of 8), one seed;
          D stays at log 2. The penalties are those of images; not tuned
"""

from ml_collections import ConfigDict

from gan_jax.run.config import default_config, network, optimizer, schedule


def get_config() -> ConfigDict:
  config = default_config("adversarial_flow")
  config.data = "ring8"
  config.batch_size = 256
  config.rounds = 3000
  config.rounds_per_call = 100

  config.generator = network("flow_mlp_generator", hidden=(128,) * 3)
  config.discriminator = network("flow_mlp_discriminator", hidden=(128,) * 3)
  config.times, config.velocity, config.sampled = "any", True, (1, 4)
  config.weights.transport = schedule(
    "cosine_schedule", init_value=0.25, end_value=0.005, transition_steps=3000
  )
  for player in ("discriminator", "generator"):
    config.optimizers[player] = optimizer("adam", learning_rate=5e-4, b1=0.0, b2=0.9)
  config.average.decay = 0.99

  config.log_every = 100
  config.sample_every = 1000
  config.evaluate_every = 1000
  config.checkpoint_every = 3000
  config.num_samples = 2500
  config.num_fake = 2500
  return config
