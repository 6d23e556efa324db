"""Names in the code with their descriptions, for pages that the generators write."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enum import Enum


def member_descriptions(codes: type[Enum]) -> dict[str, str]:
    """Return the docstring below each member of an enumeration, by the name of the member.

    Raises
    ------
    ValueError
        If a member has none.
    """
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(codes))).body
    found: dict[str, str] = {}
    name = ""
    for node in tree.body:  # type: ignore[attr-defined]
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = as_markdown(str(node.value.value))
    missing = [member.name for member in codes if member.name not in found]
    if missing:
        msg = f"{codes.__name__} does not describe {', '.join(missing)}"
        raise ValueError(msg)
    return found


def as_markdown(text: str) -> str:
    """Write a docstring on one line of a Markdown table."""
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")
