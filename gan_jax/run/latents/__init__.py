"""What is done with a trained generator's latents: projections, directions, walks, pages."""
