"""Check how modules fit together: no circle of imports, a floor for each module, no fragments.

Run it in the project's folder: floors are read from ``pyproject.toml`` (the layers of import-linter), and compared with
the floors in ``README.md`` and ``CONTRIBUTING.md``.
"""

import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import grimp
from sources import python_files

MIN_MODULE_LINES = 40

SMALL_MODULES: dict[str, str] = {
    "trap.steps.prettyprint": "a module of TraP by that name",
}
"""Reasons of modules to be shorter, by module: ``"trap.errors": "everything imports it"``."""

FACES = ("__init__", "__main__")
"""Modules that may have any length, and stand on the floor of their package."""

GUIDES = ("README.md", "CONTRIBUTING.md")
"""Documents that show the floors: in a table, or in a block of code."""


def main(folders: Sequence[str]) -> int:
    """Print the problems of the packages in the folders; return 1 if there are any."""
    modules = {_module_name(folder, path): path for folder in folders for path in python_files([folder])}
    graph = _import_graph(folders)
    rooms = read_rooms(Path("pyproject.toml"))
    problems = [
        *(f"circle of imports: {circle}" for circle in find_circles(graph)),
        *(f"{module}: on no floor: name it in the layers in pyproject.toml" for module in find_unplaced(graph, rooms)),
        *(f"{guide}: {room} is missing from the floors" for guide in GUIDES for room in find_unnamed(guide, rooms)),
        *find_fragments(modules),
    ]
    print(*problems, sep="\n", end="\n" if problems else "")
    print(
        f"{len(modules)} modules with {graph.count_imports()} imports of each other, {len(rooms)} rooms on the floors"
    )
    return 1 if problems else 0


def find_circles(graph: grimp.ImportGraph) -> Iterator[str]:
    """Yield circles of imports as chains of modules, each with the line of its import of the next.

    The last import of a circle is left out of the search for the next: not every combination is shown, but a graph
    without circles remains when the circles shown are opened there.
    """
    imports = {module: graph.find_modules_directly_imported_by(module) for module in sorted(graph.modules)}
    while True:
        try:
            TopologicalSorter({module: sorted(imported) for module, imported in imports.items()}).prepare()
        except CycleError as error:
            chain = error.args[1][::-1]  # graphlib lists the imported module before its importer
            yield " -> ".join(
                [f"{importer}:{_line(graph, importer, imported)}" for importer, imported in pairwise(chain)]
                + chain[-1:]
            )
            imports[chain[-2]].remove(chain[-1])
        else:
            return


def find_unplaced(graph: grimp.ImportGraph, rooms: Collection[str]) -> list[str]:
    """Return the modules at the top of each package that are no room, unless the whole package is one.

    Parameters
    ----------
    graph
        Imports between the modules of the packages.
    rooms
        Names of the modules and packages that stand on a floor.
    """
    packages = [module for module in graph.modules if "." not in module and module not in rooms]
    children = {child for package in packages for child in graph.find_children(package)}
    return sorted(child for child in children.difference(rooms) if child.rpartition(".")[2] not in FACES)


def read_rooms(pyproject: Path) -> set[str]:
    """Return the modules and packages in the layers of import-linter's contracts."""
    contracts = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [layer for contract in contracts if contract["type"] == "layers" for layer in contract["layers"]]
    return {name for layer in layers for name in re.findall(r"[\w.]+", layer)}


def find_unnamed(guide: str, rooms: Collection[str]) -> list[str]:
    """Return the rooms that the floors of a document leave out.

    The floors are the paragraph (a table or a block of code is one) with the most rooms. If it has names in backticks,
    as the cells of a table have, only these count.

    Parameters
    ----------
    guide
        Path of the document.
    rooms
        Names of the modules and packages that stand on a floor. Their last part is sought in the document.
    """
    paragraphs = re.split(r"\n\s*\n", Path(guide).read_text(encoding="utf-8"))
    words_by_paragraph = [
        set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", paragraph)) or paragraph))
        for paragraph in paragraphs
    ]
    words = {room: room.rpartition(".")[2] for room in rooms}
    floors = max(words_by_paragraph, key=lambda named: len(named.intersection(words.values())))
    return sorted(room for room, word in words.items() if word not in floors)


def find_fragments(modules: dict[str, Path]) -> Iterator[str]:
    """Yield the modules that are too short without a reason, and the reasons that are no longer needed.

    Parameters
    ----------
    modules
        Paths by the names of modules. Those in a folder ``migrations`` are Alembic's, and of any length.
    """
    packages = {module.partition(".")[0] for module in modules}
    needed = set[str]()
    for module, path in modules.items():
        n_lines = len(path.read_text(encoding="utf-8").splitlines())
        if n_lines >= MIN_MODULE_LINES or path.stem in FACES or "migrations" in path.parts:
            continue
        needed.add(module)
        if module not in SMALL_MODULES:
            yield (
                f"{path}: {n_lines} lines, at least {MIN_MODULE_LINES}: merge it with what it serves, "
                f"or give a reason in {Path(__file__).name}"
            )
    for module in SMALL_MODULES:
        if module.partition(".")[0] in packages and module not in needed:
            yield f"{Path(__file__).name}: {module} needs no reason to be short any more"


def _import_graph(folders: Sequence[str]) -> grimp.ImportGraph:
    """Return the imports between the modules of the packages, those for types and those in functions included."""
    for folder in folders:
        sys.path.insert(0, str(Path(folder).resolve().parent))  # before an installed package of the same name
    packages = [Path(folder).resolve().name for folder in folders]
    return grimp.build_graph(packages[0], *packages[1:], cache_dir=None, exclude_type_checking_imports=False)


def _module_name(folder: str, path: Path) -> str:
    parts = path.relative_to(Path(folder).parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _line(graph: grimp.ImportGraph, importer: str, imported: str) -> int:
    return graph.get_import_details(importer=importer, imported=imported)[0]["line_number"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
