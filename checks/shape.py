"""Check that modules and functions are short enough to be read at one sitting.

A module's lines are all its lines. A function's are those from its ``def`` to its end without the docstring, so that
explaining it never makes it too long; a function inside another counts in both. Docstrings have a check of their own.
"""

import sys
from collections.abc import Sequence
from statistics import median

from sources import count_lines, functions_of, python_files

MODULE_LINES = 400
FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 15


def main(folders: Sequence[str]) -> int:
    """Print the modules and functions that are too long, and the figures of all; return 1 if there are any."""
    modules = python_files(folders)
    sizes = [(function, count_lines(function.node)) for path in modules for function in functions_of(path)]
    if not sizes:
        print(f"no function in {', '.join(folders)}")
        return 1

    module_lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules}
    lengths = [size for _, size in sizes]
    middle = median(lengths)
    too_long = [f"{path}: {n} lines, at most {MODULE_LINES}" for path, n in module_lengths.items() if n > MODULE_LINES]
    too_long += [
        f"{function.path}:{function.node.lineno}: {function.name} has {size} lines, at most {FUNCTION_LINES}"
        for function, size in sizes
        if size > FUNCTION_LINES
    ]
    if middle > MEDIAN_FUNCTION_LINES:
        too_long.append(f"the median function has {middle:g} lines, at most {MEDIAN_FUNCTION_LINES}")

    print(*too_long, sep="\n", end="\n" if too_long else "")
    print(
        f"{len(modules)} modules, the longest of {max(module_lengths.values())} lines; "
        f"{len(sizes)} functions, the median of {middle:g} and the longest of {max(lengths)} lines"
    )
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
