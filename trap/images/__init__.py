"""Images of the sky: their files, headers, pixels, beams, sky regions and frequency bands."""
