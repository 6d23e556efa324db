"""Images as they come: where they come from, how timesteps are put together, and the run that never ends."""
