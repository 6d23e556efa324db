"""Loops over pixels and over sources, compiled: what is too slow in Python and too irregular for numpy.

Arrays in, arrays out, and nothing checked: whoever calls has done that. Each kernel has a twin in plain
numpy under ``tests/parity``, which says what it computes.
"""
