"""Association of images with the running catalogue, blends, and transient candidates."""
