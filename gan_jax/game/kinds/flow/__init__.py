"""Adversarial flows: a generator that carries noise to data, in steps or by velocities."""
