"""Parts of a page that are made from the code, each between two comments that name it."""

from collections.abc import Callable, Mapping


def replace_parts(page: str, parts: Mapping[str, Callable[[], str]], script: str) -> str:
    """Return the text of a page with all parts made again.

    Parameters
    ----------
    page
        Text of the page, with the comments of each part.
    parts
        Functions that make the parts, by name.
    script
        Name of the script that makes them, which the comments have.
    """
    for name, make in parts.items():
        begin, end = f"<!-- {name}: made by docs/generators/{script} -->\n", f"<!-- end of {name} -->\n"
        before, rest = page.split(begin)
        _, after = rest.split(end)
        page = f"{before}{begin}{make()}{end}{after}"
    return page
