import inspect
import pickle
import re
from pathlib import Path

import pytest

from trap import errors
from trap.errors import ImageError, TrapError, UnreadableImageError

ERRORS = [name for name in errors.__all__ if inspect.isclass(getattr(errors, name))]
TREE_LINE = re.compile(r"^(?P<branch>[ │├└─]*)(?P<name>[A-Z]\w+)(?:\((?P<builtin>\w+)\))?(?:  .*)?$")


def drawn_tree():
    """Return (name, parent, builtin) of every error in the docstring of the module."""
    block = errors.__doc__.split("::\n\n")[1].split("\n\n")[0]
    parents = []
    for line in inspect.cleandoc(block).splitlines():
        match = TREE_LINE.match(line)
        depth = len(match["branch"]) // 4
        parents[depth:] = [match["name"]]
        yield match["name"], parents[depth - 1] if depth else "Exception", match["builtin"]


def real_tree():
    for name in ERRORS:
        bases = [base.__name__ for base in getattr(errors, name).__bases__]
        yield name, bases[0], bases[1] if len(bases) > 1 else None


def test_tree_in_the_docstring_is_the_tree_of_classes():
    assert sorted(drawn_tree(), key=str) == sorted(real_tree(), key=str)


def test_every_error_is_public():
    classes = {name for name, item in vars(errors).items() if inspect.isclass(item) and issubclass(item, TrapError)}
    assert classes == set(ERRORS)
    assert errors.__all__ == sorted(errors.__all__)


def test_image_error_shows_the_image_before_the_message():
    assert str(ImageError("no beam", "a.fits")) == "a.fits: no beam"
    assert str(ImageError("no beam")) == "no beam"


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_survives_pickling(name):
    error = getattr(errors, name)("what is wrong")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == "what is wrong"


def test_image_error_keeps_its_parts_when_pickled():
    copy = pickle.loads(pickle.dumps(UnreadableImageError("truncated", "a.fits")))
    assert (copy.message, copy.url) == ("truncated", "a.fits")
    assert isinstance(copy, OSError)
    assert isinstance(copy, ValueError)


def test_no_other_module_defines_errors():
    sources = (Path(errors.__file__).parent).rglob("*.py")
    elsewhere = [
        path.name
        for path in sources
        if path.name != "errors.py"
        and re.search(r"^class \w+\(.*(Error|Exception)\)", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert elsewhere == []


@pytest.mark.parametrize("error", [errors.TransientError, errors.ConfigError, errors.ImageError])
def test_text_of_an_error_can_be_stored_whatever_file_it_names(error):
    raised = error("/n\udce9/b\udcff.fits: stale")
    assert str(raised) == r"/n\xe9/b\xff.fits: stale"
    assert str(pickle.loads(pickle.dumps(raised))) == str(raised)
    image = errors.UnreadableImageError("gone", "b\udcff.fits")
    assert (image.url, str(image)) == (r"b\xff.fits", r"b\xff.fits: gone")
