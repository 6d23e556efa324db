"""Simulated surveys whose truth is known.

A :mod:`config` describes a survey, :mod:`counts` gives the number of its steady sources, :mod:`sky` draws all sources
with their light curves, :mod:`image_errors` displaces them in each image, :mod:`pixels` renders them, and :mod:`survey`
writes images and truth to a folder. After a run of the pipeline :mod:`comparison` compares its results with the truth.
"""
