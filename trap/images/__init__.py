"""Images of the sky: pixels, headers, beams, regions and bands, and a simulator of all of them."""
