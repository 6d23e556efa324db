"""Check that functions are documented: the parameters of public functions, and the purpose of longer private ones.

A public function with two or more parameters names and describes each of them in the numpydoc section *Parameters*. A
private function, or one inside another, has a docstring if it is long; methods like ``__init__`` are documented by
their class. No docstring names a parameter or field that does not exist. Ruff checks the rest: docstrings of all public
functions and classes, and the form of sections.
"""

import ast
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from sources import Function, FunctionNode, count_lines, functions_of, python_files

MIN_PARAMETERS = 2
"""Parameters, besides ``self`` and ``cls``, from which a public function needs a section that names them."""

MAX_UNDOCUMENTED_LINES = 8
"""Lines of a private function without a docstring."""

PARAMETER_SECTIONS = ("Parameters", "Other Parameters")

SECTIONS = (
    *PARAMETER_SECTIONS,
    *("Attributes", "Examples", "Methods", "Notes", "Raises", "Receives"),
    *("References", "Returns", "See Also", "Warnings", "Warns", "Yields"),
)
"""Titles that numpydoc defines."""

TITLE = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)
ENTRY = re.compile(r"^(?P<names>\S.*)(?P<text>(?:\n[ \t]+.*|\n)*)", re.MULTILINE)
"""An entry of a section: its names in the first column, perhaps with a type, and the indented lines below."""


def main(paths: Sequence[str]) -> int:
    """Print the problems of the docstrings in files and folders; return 1 if there are any."""
    files = python_files(paths)
    functions = [function for path in files for function in functions_of(path)]
    problems = [
        *((function.path, function.node.lineno, problem) for function in functions for problem in check(function)),
        *((path, line, problem) for path in files for line, problem in check_classes(path)),
    ]
    for path, line, problem in sorted(problems):
        print(f"{path}:{line}: {problem}")
    print(f"{len(functions)} functions in {len(files)} modules, {len(problems)} problems")
    return 1 if problems else 0


def check(function: Function) -> Iterator[str]:
    """Yield the problems of a function's docstring."""
    docstring = ast.get_docstring(function.node)
    if docstring is None:
        n_lines = count_lines(function.node)
        is_special = re.fullmatch("__.*__", function.node.name)
        if n_lines > MAX_UNDOCUMENTED_LINES and not function.is_public and not is_special:
            yield f"{function.name}: no docstring, with {n_lines} lines"
        return

    is_bound = function.is_method and "staticmethod" not in map(ast.unparse, function.node.decorator_list)
    parameters = read_signature(function.node)[is_bound:]
    documented = dict(read_entries(docstring))
    yield from _check_sections(function.name, docstring, parameters)
    used = [name for name in parameters if not name.startswith("_")]  # _event is there because the caller passes it
    missing = [name for name in used if name not in documented]
    if function.is_public and len(used) >= MIN_PARAMETERS and missing:
        yield f"{function.name}: not in a section Parameters: {', '.join(missing)}"


def check_classes(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a module's classes with the problems of their docstrings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and (docstring := ast.get_docstring(node)):
            for problem in _check_sections(node.name, docstring, read_fields(node)):
                yield node.lineno, problem


def read_signature(function: FunctionNode) -> list[str]:
    """Return the names of all parameters of a function, ``self`` and ``cls`` included."""
    arguments = function.args
    in_order = (*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg)
    return [argument.arg for argument in in_order if argument]


def read_fields(node: ast.ClassDef) -> list[str]:
    """Return the names of annotated fields of a class, and of the parameters of its ``__init__``."""
    names = []
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case ast.FunctionDef(name="__init__"):
                names += read_signature(statement)[1:]
    return names


def read_entries(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield each documented parameter with its description; names that share a line share the description."""
    for title, section in read_sections(docstring):
        for entry in ENTRY.finditer(section) if title in PARAMETER_SECTIONS else ():
            names, _, _ = entry["names"].partition(" : ")
            for name in names.split(","):
                yield name.strip().lstrip("*\\"), entry["text"].strip()


def read_sections(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield the underlined titles in a docstring, each with the text up to the next."""
    _, *titles_and_texts = TITLE.split(docstring)
    yield from zip(titles_and_texts[::2], titles_and_texts[1::2], strict=True)


def _check_sections(name: str, docstring: str, parameters: Collection[str]) -> Iterator[str]:
    """Yield unknown sections, entries that are no parameters, and entries without a description."""
    for title, _ in read_sections(docstring):
        if title not in SECTIONS:
            yield f"{name}: {title} is no section of numpydoc"
    for parameter, description in read_entries(docstring):
        if parameter not in parameters:
            yield f"{name}: no parameter {parameter}, which the docstring names"
        if not description:
            yield f"{name}: no description of {parameter}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
