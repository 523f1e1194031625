"""One-step generators of 2025 and 2026: adversarial flows, noise levels judged as one, drifting."""
