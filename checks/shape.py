"""Whether modules and functions are short enough to be read at one sitting.

A module's lines are all its lines. A function's are those from its ``def`` to its end without the docstring, so that
explaining it never makes it too long; a function inside another counts in both. Docstrings are left to ruff.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

MODULE_LINES = 400
FUNCTION_LINES = 60
MEDIAN_FUNCTION_LINES = 15

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main(folders: list[str]) -> int:
    """Print what is too long in the folders, and the figures of the whole; return the exit code."""
    modules = {
        path: path.read_text(encoding="utf-8") for folder in folders for path in sorted(Path(folder).rglob("*.py"))
    }
    sizes = [(path, function, count_lines(function)) for path, text in modules.items() for function in functions(text)]
    if not sizes:
        print(f"no function in {', '.join(folders)}")
        return 1

    module_lengths = {path: len(text.splitlines()) for path, text in modules.items()}
    lengths = [size for _, _, size in sizes]
    middle = median(lengths)
    too_long = [f"{path}: {n} lines, at most {MODULE_LINES}" for path, n in module_lengths.items() if n > MODULE_LINES]
    too_long += [
        f"{path}:{function.lineno}: {function.name} has {size} lines, at most {FUNCTION_LINES}"
        for path, function, size in sizes
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


def functions(text: str) -> Iterator[Function]:
    """Every function and method of a module's text, the inner ones too."""
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, Function))


def count_lines(function: Function) -> int:
    """The lines of a function without its docstring."""
    lines = _extent(function)
    if ast.get_docstring(function, clean=False) is not None:
        lines -= _extent(function.body[0])
    return lines


def _extent(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
