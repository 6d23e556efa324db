"""Which measurements are the same source: joining images to the running catalogue, and telling what is new."""
