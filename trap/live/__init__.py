"""Live mode: sources of images, their assembly into timesteps, and a run without a planned end."""
