"""Headers of images: planes, projections, frequencies, times, beams and units, read from FITS keywords."""
