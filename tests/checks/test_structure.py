"""Circles of imports, modules without a floor, and fragments are found."""

import sys

import pytest
import structure

LONG = "\n" * structure.MIN_MODULE_LINES


@pytest.fixture
def house(write, monkeypatch):
    """A function that checks a package of the given modules, which is sound without them."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(structure, "SMALL_MODULES", {})
    write("pyproject.toml", pyproject('["house.attic", "house.rooms : house.cellar"]'))
    write("README.md", "# House\n\nThe attic.\n\n```\n 2 house.attic\n 1 rooms | cellar\n```\n")
    write("CONTRIBUTING.md", "| floor | rooms |\n|---|---|\n| 2 | `house.attic` |\n| 1 | `house.rooms`, `cellar` |\n")
    for module in ("__init__", "attic", "cellar", "rooms/__init__", "rooms/kitchen", "rooms/pantry"):
        write(f"house/{module}.py", "" if module.endswith("__init__") else LONG)

    def check(**modules: str) -> int:
        for module, text in modules.items():
            write(f"house/{module.replace('__', '/')}.py", text + LONG)
        return structure.main(["house"])

    return check


def pyproject(layers: str) -> str:
    return f'[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = {layers}\n'


def test_sound_house_passes(house, capsys):
    imports = "from house.rooms import kitchen\nimport house.cellar\n"

    assert house(attic=imports, rooms__kitchen="from house.rooms.pantry import SHELVES\n") == 0
    assert capsys.readouterr().out == "6 modules with 3 imports of each other, 3 rooms on the floors\n"


@pytest.mark.parametrize(
    "back",
    [
        "from house.rooms import kitchen\n",
        "from house.rooms.kitchen import OVEN\n",
        "from .rooms import kitchen\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.rooms.kitchen\n",
        "def cook():\n    from house.rooms import kitchen\n",
    ],
)
def test_circle_is_shown_as_a_chain(house, capsys, back):
    line = back.count("\n")

    assert house(cellar=back, rooms__kitchen="import house.cellar\n") == 1
    shown = capsys.readouterr().out.splitlines()[0]
    assert shown.removeprefix("circle of imports: ") in (
        f"house.cellar:{line} -> house.rooms.kitchen:1 -> house.cellar",
        f"house.rooms.kitchen:1 -> house.cellar:{line} -> house.rooms.kitchen",
    )


def test_every_circle_is_shown(house, capsys):
    house(
        cellar="import house.attic\n",
        attic="import house.cellar\n",
        rooms__pantry="import house.rooms.kitchen\n",
        rooms__kitchen="import house.rooms.pantry\n",
    )

    assert capsys.readouterr().out.count("circle of imports: ") == 2


def test_import_of_what_the_own_package_gathers_is_a_circle(house, write, capsys):
    write("house/rooms/__init__.py", "from house.rooms.pantry import SHELVES\n")

    assert house(rooms__pantry="from house.rooms import SHELVES\n") == 1
    assert "house.rooms:1 -> house.rooms.pantry" in capsys.readouterr().out


def test_submodule_imported_from_its_package_is_no_circle_with_the_package(house, write):
    write("house/rooms/__init__.py", "from house.rooms.pantry import SHELVES\n")

    assert house(rooms__pantry="from house.rooms import kitchen\n") == 0


def test_module_on_no_floor_is_found(house, capsys):
    assert house(garden="", rooms__bath="", __main__="") == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        "house.garden: on no floor: name it in the layers in pyproject.toml"
    )


def test_package_that_is_a_layer_itself_needs_no_floors_inside(house, write):
    write("pyproject.toml", pyproject('["house", "(shed)"]'))
    write("README.md", "```\n2 house\n1 shed\n```\n")
    write("CONTRIBUTING.md", "| 2 | `house` |\n| 1 | `shed` |\n")

    assert house(garden="") == 0


@pytest.mark.parametrize("guide", structure.GUIDES)
def test_room_missing_from_a_guide_is_found(house, write, capsys, guide):
    write("pyproject.toml", pyproject('["house.attic", "house.rooms", "house.cellar : (house.garden)"]'))
    write(guide, "The garden.\n\n| 2 | `attic` is above the garden |\n| 1 | `house.rooms`, `cellar` |\n")
    (other,) = set(structure.GUIDES) - {guide}
    write(other, "attic, rooms, garden, cellar")

    assert house() == 1
    assert capsys.readouterr().out.splitlines()[:-1] == [f"{guide}: house.garden is missing from the floors"]


def test_short_module_is_found_unless_it_is_a_face_or_a_migration(house, write, capsys):
    write("house/rooms/pantry.py", "\n" * (structure.MIN_MODULE_LINES - 1))
    write("house/__main__.py", "\n")
    write("house/cellar/migrations/env.py", "\n")

    assert house() == 1
    (problem,) = capsys.readouterr().out.splitlines()[:-1]
    assert problem.startswith("house/rooms/pantry.py: 39 lines, at least 40: ")


def test_short_module_with_a_reason_passes(house, write, monkeypatch):
    write("house/rooms/pantry.py", "\n")
    monkeypatch.setattr(structure, "SMALL_MODULES", {"house.rooms.pantry": "cold"})

    assert house() == 0


@pytest.mark.parametrize("module", ["house.rooms.pantry", "house.rooms.gone"])
def test_reason_no_longer_needed_is_found(house, monkeypatch, capsys, module):
    monkeypatch.setattr(structure, "SMALL_MODULES", {module: "cold", "tent.pole": "of another package"})

    assert house() == 1
    assert capsys.readouterr().out.splitlines()[:-1] == [f"structure.py: {module} needs no reason to be short any more"]
