"""Undocumented parameters and private functions are found, and nothing else."""

import docstrings
import pytest

SECTION = '''"""Add numbers.

    Parameters
    ----------
    {}
        Terms of the sum.
    """'''


@pytest.fixture
def check(write, capsys):
    """A function that returns the problems of a module's text."""

    def problems_of(text: str) -> list[str]:
        write("module.py", text)
        code = docstrings.main(["module.py"])
        *problems, _ = capsys.readouterr().out.splitlines()
        assert code == (1 if problems else 0)
        return problems

    return problems_of


def test_public_function_without_a_section_is_found(check):
    assert check('def add(a, b):\n    """Add."""\n') == ["module.py:1: add: not in a section Parameters: a, b"]


@pytest.mark.parametrize(
    "signature", ["a, b", "a, /, b", "*, a, b", "*a, b", "a, **b", "a=1, b=2", "_event, a, b", "a: int, b: int"]
)
def test_each_parameter_is_named(check, signature):
    function = f"def add({signature}):\n    {SECTION}\n"

    assert check(function.format("a, b")) == []
    assert check(function.format("b")) == ["module.py:1: add: not in a section Parameters: a"]


@pytest.mark.parametrize("entry", ["a, *b", "a, \\\\*b", "a : int\n        One.\n    b : int, optional", "a, b : int"])
def test_forms_of_entries(check, entry):
    assert check(f"def add(a, *b):\n    {SECTION}\n".format(entry)) == []


def test_other_parameters_count(check):
    text = SECTION.format("a") + "\n"
    text = text.replace(
        'of the sum.\n    """', 'of the sum.\n\n    Other Parameters\n    ----------------\n    b\n        B."""'
    )

    assert check(f"def add(a, b):\n    {text}") == []


@pytest.mark.parametrize(
    "text",
    [
        'def double(a):\n    """Double."""\n',
        'def double(a, _event):\n    """Double."""\n',
        'def _add(a, b):\n    """Add."""\n',
        'class _Sum:\n    def add(self, a, b):\n        """Add."""\n',
        'class Sum:\n    def __call__(self, a, b):\n        """Add."""\n',
        'class Sum:\n    def double(self, a):\n        """Double."""\n',
        'class Sum:\n    @classmethod\n    def double(cls, a):\n        """Double."""\n',
        'class Sum:\n    @property\n    def total(self):\n        """The sum."""\n',
        "class Sum:\n    @total.setter\n    def total(self, value):\n        self._total = value\n",
        "@overload\ndef add(a: int, b: int) -> int: ...\n",
        'def adder():\n    """Return a function."""\n    def add(a, b):\n        """Add."""\n',
    ],
    ids=[
        "one parameter",
        "one that is used",
        "private",
        "private class",
        "special",
        "method",
        "class method",
        "property",
        "setter",
        "overload",
        "inner",
    ],
)
def test_function_that_needs_no_section_passes(check, text):
    assert check(text) == []


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ('class Sum:\n    def add(self, a, b):\n        """Add."""\n', 2, "Sum.add"),
        ('class Sum:\n    @staticmethod\n    def add(a, b):\n        """Add."""\n', 3, "Sum.add"),
        ('class Sum(Protocol):\n    def add(self, a, b):\n        """Add."""\n', 2, "Sum.add"),
        ('class Sum:\n    class Inner:\n        def add(self, a, b):\n            """Add."""\n', 3, "Sum.Inner.add"),
        ('if True:\n    async def add(a, b):\n        """Add."""\n', 2, "add"),
    ],
    ids=["method", "static method", "protocol", "inner class", "conditional coroutine"],
)
def test_methods_and_coroutines_count(check, text, line, name):
    assert check(text) == [f"module.py:{line}: {name}: not in a section Parameters: a, b"]


@pytest.mark.parametrize("opening", ["def _add():\n", "def __add():\n", "class _Sum:\n  def add(self):\n"])
def test_long_private_function_without_a_docstring_is_found(check, opening):
    name, line = ("_Sum.add", 2) if "class" in opening else (opening[4:-4], 1)
    lines = ["    pass\n"] * docstrings.MAX_UNDOCUMENTED_LINES

    assert check(opening + "".join(lines)) == [f"module.py:{line}: {name}: no docstring, with 9 lines"]
    assert check(opening + "".join(lines[1:])) == []
    assert check(opening + '    """Add."""\n' + "".join(lines)) == []


def test_long_inner_function_without_a_docstring_is_found(check):
    inner = "    def add():\n" + "        pass\n" * docstrings.MAX_UNDOCUMENTED_LINES

    assert check(f'def adder():\n    """Return a function."""\n{inner}') == [
        "module.py:3: adder.add: no docstring, with 9 lines"
    ]


def test_special_method_is_documented_by_its_class(check):
    init = "    def __init__(self):\n" + "        pass\n" * 20

    assert check(f'class Sum:\n    """A sum."""\n\n{init}') == []


@pytest.mark.parametrize("name", ["add", "_add"])
def test_entry_that_is_no_parameter_is_found(check, name):
    assert check(f"def {name}(a, b):\n    {SECTION}\n".format("a, b, c")) == [
        f"module.py:1: {name}: no parameter c, which the docstring names"
    ]


def test_entry_of_a_class_that_is_no_field_or_parameter_is_found(check):
    docstring = SECTION.format("a, b")
    init = "    def __init__(self, a, b):\n        pass\n"

    assert check(f"class Sum:\n    {docstring}\n    a: int\n    b: int\n") == []
    assert check(f"class Sum:\n    {docstring}\n{init}") == []
    assert check(f"class Sum:\n    {docstring}\n    a: int\n    c: int\n") == [
        "module.py:1: Sum: no parameter b, which the docstring names"
    ]


def test_entry_without_a_description_is_found(check):
    text = SECTION.format("a\n    b")

    assert check(f"def add(a, b):\n    {text}\n") == ["module.py:1: add: no description of a"]


def test_unknown_section_is_found(check):
    text = SECTION.format("a, b").replace("Parameters\n    ----------", "Arguments\n    ---------")

    assert check(f"def _add(a, b):\n    {text}\n") == ["module.py:1: _add: Arguments is no section of numpydoc"]
