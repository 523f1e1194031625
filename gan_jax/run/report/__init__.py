"""A page of runs and ablations, `gan_jax report`: one HTML file."""
