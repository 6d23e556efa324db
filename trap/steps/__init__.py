"""Stages of the pipeline, one module each: they combine science with the state of the dataset.

Each function of TraP's ``tkp.steps`` is here under its own name, in the module of the same name. Arguments that were
accidents of TraP (a global database, a nested dict, a positional list of eighteen numbers) have been replaced, and the
docstrings name the differences. Functions that the pipeline does not call stand at the foot of their module, below a
comment.
"""
