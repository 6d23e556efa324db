"""Results in Python, for notebooks and scripts: light curves, tables, cut-outs and figures of a dataset.

>>> from trap.results import open_dataset
>>> dataset = open_dataset("trap.db", 1)  # doctest: +SKIP
>>> dataset.plot_light_curve("11h32m32.8s +27d41m56s")  # doctest: +SKIP

``docs/how-to/python.md`` is a tour.
"""

from trap.results.dataset import Dataset, open_dataset
from trap.results.seasons import Seasons, open_datasets
from trap.results.tables import LightCurve, Results, Series

__all__ = ["Dataset", "LightCurve", "Results", "Seasons", "Series", "open_dataset", "open_datasets"]
