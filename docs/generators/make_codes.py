"""Generate docs/reference/codes.md: the numbers in columns of the tables, from the enumerations of the code.

A test fails if the file is out of date.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from code_comments import member_descriptions

from trap.association.entries import Descent
from trap.codes import STOKES, UNSOUND, AssociationType, ExtractType, FitType, Flag, Grade, RejectReason
from trap.quality.checks import all_checks

if TYPE_CHECKING:
    from enum import IntEnum, IntFlag

PAGE = Path(__file__).parents[1] / "reference" / "codes.md"

_HEAD = """\
# Codes

<!-- made by docs/generators/make_codes.py from the code; do not edit -->

Some columns of the [database](database.md) and of exported tables hold numbers that stand for words. The numbers never
change; codes that TraP has are TraP's.
"""

_FLAGS = """
A measurement has the sum of its flags in column `flags` of table `extractedsource`, 0 without any. In SQL,
`flags & 4 != 0` selects a flag; `--without-flags edge,blended` leaves measurements out of lists and exports. Blind
measurements with any of {unsound} are stored, and belong to no light curve.
""".format(unsound=", ".join(f"`{flag.name}`" for flag in Flag if flag & UNSOUND))


def codes_page() -> str:
    """Write all codes as Markdown."""
    parts = [
        _HEAD,
        "## Flags\n",
        _FLAGS.strip() + "\n",
        _table(Flag),
        "\n## Types of measurements\n\nColumn `extract_type` of table `extractedsource`.\n",
        _table(ExtractType),
        "\nColumn `fit_type` of table `extractedsource`.\n",
        _table(FitType),
        "\n## Types of association\n\nColumn `type` of table `assocxtrsource`.\n",
        _table(AssociationType),
        "\n## Grades of candidates\n\nColumn `grade` of table `newsource`.\n",
        _table(Grade),
        "\n## Lineage\n\nColumn `kind` of table `lineage`: the relation of an entry to its origin.\n",
        _table(Descent),
        "\n## Reasons of rejection\n\nColumn `rejectreason` of table `rejection`; see [the checks](images.md).\n",
        _reasons(),
        "\n## Stokes parameters\n\nColumn `stokes` holds the codes of FITS; lists and exports have the letters.\n",
        "| code | letter |\n|---|---|",
        *(f"| {code} | {letter} |" for letter, code in STOKES.items()),
    ]
    return "\n".join(parts) + "\n"


def _table(codes: type[IntEnum | IntFlag]) -> str:
    """Write the table of an enumeration."""
    described = member_descriptions(codes)
    rows = (f"| {int(code)} | `{code.name}` | {described[str(code.name)]} |" for code in codes)
    return "\n".join(["| code | name | meaning |", "|---|---|---|", *rows])


def _reasons() -> str:
    """Write the table of the reasons, with the checks that give them."""
    rows = []
    for reason in RejectReason:
        settings = dict.fromkeys(check.setting for check in all_checks() if check.reason == reason)
        links = [f"[`{setting}`](configuration.md#{setting})" for setting in settings]
        rows.append(f"| {int(reason)} | {reason.description} | {', '.join(links)} |")
    return "\n".join(["| code | reason | checks |", "|---|---|---|", *rows])


if __name__ == "__main__":
    PAGE.write_text(codes_page(), encoding="utf-8")
    print(f"{PAGE} written")
