"""Read the Python modules of folders: their functions, and their prose, which is docstrings and comments."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

# Text within docstrings and comments that is code. A doctest reaches to the next empty line, output included.
CODE = re.compile(
    r"``.+?``|`[^`\n]+`"
    r"|\b\w+://\S+"
    r"|^[ \t]*>>> .*(?:\n[ \t]*\S.*)*"
    r"|\bnoqa(: *[A-Z]+[0-9]+(, *[A-Z]+[0-9]+)*)?|\btype: ignore(\[[\w, -]+\])?|\bfmt: (on|off|skip)\b",
    re.MULTILINE,
)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class Prose(NamedTuple):
    """A docstring, or a block of comments, with the line on which it starts."""

    path: Path
    line: int
    text: str


class Function(NamedTuple):
    """A function or method and its place in the module."""

    path: Path
    node: FunctionNode
    name: str
    """With the classes and functions around it: ``Image.read``."""

    is_method: bool
    is_public: bool
    """Whether it can be named from outside: in no function, and no name on the way to it starts with an underscore."""


def python_files(paths: Iterable[str]) -> list[Path]:
    """Return the files among the paths and all modules below the folders among them, sorted.

    Raises
    ------
    SystemExit
        If a path does not exist. A check of a misspelled folder would otherwise pass.
    """
    files: set[Path] = set()
    for path in map(Path, paths):
        if not path.exists():
            sys.exit(f"no such file or folder: {path}")
        files.update(path.rglob("*.py") if path.is_dir() else [path])
    return sorted(files)


def functions_of(path: Path) -> Iterator[Function]:
    """Yield every function and method of a module in the order of their lines, the inner ones too."""
    yield from _functions(path, ast.parse(path.read_text(encoding="utf-8")), around=[])


def count_lines(function: FunctionNode) -> int:
    """Count the lines from the ``def`` of a function to its end, without the docstring."""
    lines = _extent(function)
    if ast.get_docstring(function, clean=False) is not None:
        lines -= _extent(function.body[0])
    return lines


def prose_of(path: Path) -> Iterator[Prose]:
    """Yield the docstrings and comments of a module in the order of their lines, without the code in them.

    A string that is a statement of its own counts as a docstring, since attributes are documented by such strings.
    """
    source = path.read_text(encoding="utf-8")
    passages = [*_docstrings(source), *_comments(source)]
    for line, text in sorted(passages):
        yield Prose(path, line, CODE.sub(_blank, text))


def _functions(path: Path, node: ast.AST, around: list[ast.ClassDef | FunctionNode]) -> Iterator[Function]:
    """Yield the functions below a node of the syntax tree, given the classes and functions that hold it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode):
            names = [holder.name for holder in (*around, child)]
            in_function = any(isinstance(holder, FunctionNode) for holder in around)
            yield Function(
                path,
                child,
                name=".".join(names),
                is_method=bool(around) and isinstance(around[-1], ast.ClassDef),
                is_public=not in_function and not any(name.startswith("_") for name in names),
            )
        inside = [*around, child] if isinstance(child, ast.ClassDef | FunctionNode) else around
        yield from _functions(path, child, inside)


def _extent(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstrings(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def _comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield comments; those on consecutive lines in one column are one text, as a phrase may run across lines."""
    first, column, lines = 0, 0, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if lines and token.start != (first + len(lines), column):
            yield first, "\n".join(lines)
            lines = []
        if not lines:
            first, column = token.start
        lines.append(token.string.lstrip("#"))
    if lines:
        yield first, "\n".join(lines)


def _blank(code: re.Match[str]) -> str:
    """Return the substitute of a piece of code: a mark, and its line breaks, so that later lines keep their numbers."""
    return "\N{HORIZONTAL ELLIPSIS}" + "\n" * code[0].count("\n")
