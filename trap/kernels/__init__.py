"""Compiled loops over pixels and sources, for work that is too slow in Python and too irregular for numpy.

Kernels take and return arrays, and check nothing: the caller checks. Each kernel has a twin in plain
numpy under ``tests/parity``, which defines its result.

Lists of unequal lengths are stored one after another in a single array, with the place where each of
them starts: list i of ``offsets`` (of pixels) or ``first`` (of components) is ``offsets[i]`` to
``offsets[i + 1]``.
"""
