"""Facts about a dataset that its page and the command ``transients dataset show`` both state."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from trap.config import PipelineConfig
from trap.extraction.unsearched import Unsearched, unsearched_area
from trap.report.text import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trap.typing import Columns

__all__ = ["changed_settings", "found_text", "largest_unsearched", "left_out_reasons"]


def changed_settings(settings: Sequence[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
    """Return the settings that differ from the defaults.

    Parameters
    ----------
    settings
        (section, key, value) of every setting that affects the results.
    """
    defaults = {(section, key): value for section, key, value in PipelineConfig().science_items()}
    return [item for item in settings if defaults.get(item[:2]) != item[2]]


def found_text(summary: Mapping[str, Any]) -> str:
    """Write the numbers of sources and of forced fits, as a run states them.

    A component that a joint fit does not confirm is a row of table ``extractedsource``, but no source.

    Parameters
    ----------
    summary
        A row of :func:`trap.db.overview.list_datasets`.
    """
    found = summary["n_blind"] - summary["n_dropped_unconfirmed"]
    return f"{count(found, 'source')} found, {count(summary['n_forced'], 'forced fit')}"


def left_out_reasons(images: Columns, unreadable: Columns) -> Mapping[str, int]:
    """Return the number of images that were left out, by reason, the most frequent first.

    Parameters
    ----------
    images, unreadable
        Columns of :func:`trap.db.overview.image_table` and :func:`trap.db.overview.unreadable_table`.
    """
    reasons = Counter(str(reason) for reason in images["reason"] if reason is not None)
    if len(unreadable["url"]):
        reasons["unreadable"] = len(unreadable["url"])
    return dict(reasons.most_common())


def largest_unsearched(images: Columns, config: PipelineConfig) -> Unsearched | None:
    """Return the largest part of an image that the settings of a dataset exclude from the search.

    Parameters
    ----------
    images
        Columns of :func:`trap.db.overview.image_table`.
    config
        Settings of the dataset.
    """
    shapes = {(int(ny), int(nx)) for ny, nx in zip(images["ny"], images["nx"], strict=True) if ny}
    parts = (unsearched_area(shape, config.source_extraction) for shape in shapes)
    return max((part for part in parts if part is not None), key=lambda part: part.share, default=None)
