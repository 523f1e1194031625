"""A page of runs, `gan_jax report`: `gather` reads folders, `render` makes HTML of them."""
