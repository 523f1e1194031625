"""Networks of adversarial flows: of examples and of times."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.nets import NETWORKS
from gan_jax.nets.flow import sinusoidal_encoding

X, T, S = jnp.ones((3, 4, 5)) * jnp.arange(3.0)[:, None, None], jnp.full(3, 0.75), jnp.full(3, 0.5)
FIELDS = {
  "flow_mlp_generator": {"shape": (4, 5)},
  "flow_mlp_discriminator": {},
  "flow_mlp_critic": {"shape": (4, 5)},
}


def made(name, inputs, **fields):
  net = NETWORKS[name](hidden=(8, 6), **FIELDS[name], **fields)
  make = functools.partial(net.init_with_output, y=None, train=False)
  out, variables = jax.jit(make)(jax.random.key(0), inputs)
  return out["output"] if isinstance(out, dict) else out, variables


@pytest.mark.parametrize("name", FIELDS)
def test_outputs_are_of_examples_and_of_every_time(name):
  shape = (3, *FIELDS[name].get("shape", ()))
  outputs = [made(name, (X, *times))[0] for times in ((T,), (S,), (T, S), (T, T))]
  assert all(out.shape == shape and out.dtype == jnp.float32 for out in outputs)
  for one, other in (outputs[:2], outputs[2:]):
    assert (one != other).all()


def test_features_of_a_critic_are_its_last_hidden_layer():
  net = NETWORKS["flow_mlp_critic"](hidden=(8, 6), shape=(4, 5), dtype=jnp.bfloat16)
  out, variables = net.init_with_output(jax.random.key(0), (X, T), None, train=False)
  assert out["features"].shape == (3, 6) and out["features"].dtype == jnp.float32
  last = variables["params"]["Dense_2"]
  # Of products in bfloat16, with steps of 2⁻⁸.
  expected = (out["features"] @ last["kernel"] + last["bias"][None]).reshape(3, 4, 5)
  np.testing.assert_allclose(out["output"], expected, rtol=0.02, atol=0.02)


def test_layers_are_coded_and_normalised_as_asked():
  """64 numbers of each time and of each of 20 entries; no norm after the first layer."""
  _, plain = made("flow_mlp_discriminator", (X, T))
  _, coded = made("flow_mlp_discriminator", (X, T), example_code=64, layer_norm=True)
  widths = [v["params"]["Dense_0"]["kernel"].shape[0] for v in (plain, coded)]
  assert widths == [20 + 64, 20 * 64 + 64]
  norms = [sum(name.startswith("LayerNorm") for name in v["params"]) for v in (plain, coded)]
  assert norms == [0, 1]


def test_codes_are_sines_and_cosines():
  code = sinusoidal_encoding(jnp.array([0.5]), size=4, scale=2.0)
  np.testing.assert_allclose(code, [np.r_[np.sin([1, 1e-4]), np.cos([1, 1e-4])]], rtol=1e-6)


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"time_code": 0}, "time_code is 0: expected an even number of at least 4"),
    ({"example_code": 2}, "example_code is 2: expected an even number of at least 4 or 0"),
    ({"example_code": 5}, "example_code is 5"),
  ],
)
def test_sizes_of_codes_that_cannot_be_are_refused(fields, message):
  with pytest.raises(ValueError, match=message):
    made("flow_mlp_discriminator", (X, T), **fields)
