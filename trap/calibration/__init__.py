"""The flux scale and the astrometry of each image, measured on its sources before they are associated.

Bright, compact and isolated sources of an image are matched with a reference: the running catalogue, or a catalogue in
a file. :mod:`calibrators` chooses and matches them, :mod:`positions` and :mod:`fluxes` solve for the displacement of
the sources and for the gain, :mod:`displacement` evaluates a solution and its inverse, :mod:`records` holds it all.
"""
