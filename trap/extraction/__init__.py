"""Finding and measuring sources in one image: pixels in, a table of measurements out."""
