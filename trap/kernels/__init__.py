"""Loops over pixels and over sources, compiled: numpy has no fast form for them, and Python is too slow.

Kernels take and return arrays, and do not check them. Each kernel has a twin in plain numpy under ``tests/parity``.
"""
