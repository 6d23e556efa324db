"""Headers: units, planes, frequencies, times and projections."""
