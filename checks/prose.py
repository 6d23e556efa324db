"""Count turns of phrase that make English prose hard to read, per 1,000 words of docstrings and comments.

Each family of phrases must stay below a limit. Code is not counted: names in backticks, URLs, doctests, and strings
other than docstrings.
"""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sources import Prose, prose_of, python_files

# Spaces in a pattern match line breaks too. In brackets: occurrences per 1,000 words in photutils 3, as a yardstick.
FAMILIES = {
    "what is/was/the/of": r"what (is|are|was|were|the|of)",  # (0.01) a relative clause without a noun
    "say/tell": r"say|says|said|saying|tell|tells|told|telling",  # (0.01) functions and data do not speak
    "those that/that of": r"those (that|of|which)|that of",  # (0.04) the noun itself is shorter to read
    "of/by/in which, for whom": r"(of|by|in) which|(for|to|with) whom",  # (0.2)
    "beside, anew": r"beside|anew|meanwhile|for ever",  # (0.0)
    "where there is, nobody": r"where (there (is|are)|nobody|none|nothing)",  # (0.02) "if the file is missing"
}

CONTEXT = 40
"""Characters shown on each side of a phrase."""


class Phrase(NamedTuple):
    """An occurrence of a phrase of a family."""

    path: str
    line: int
    family: str
    text: str
    """The phrase between brackets, with the words around it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rate of each family in files and folders; return 1 if one is at or above the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", help="files, and folders with their subfolders")
    parser.add_argument("--list", action="store_true", help="print each occurrence with its file and line")
    parser.add_argument("--limit", type=float, default=0.5, help="occurrences per 1,000 words (default: 0.5)")
    options = parser.parse_args(arguments)

    passages = [prose for path in python_files(options.paths) for prose in prose_of(path)]
    phrases = [phrase for prose in passages for phrase in find_phrases(prose)]
    if options.list:
        for phrase in phrases:
            print(f"{phrase.path}:{phrase.line}: {phrase.text}")

    n_words = sum(count_words(prose.text) for prose in passages)
    failed = False
    print(f"{n_words} words in docstrings and comments; phrases per 1,000 words, below {options.limit:g} each:")
    for family in FAMILIES:
        count = sum(phrase.family == family for phrase in phrases)
        rate = 1000 * count / max(n_words, 1)
        too_high = rate >= options.limit
        failed |= too_high
        print(f"  {rate:5.2f}  {count:4d}  {family}{'  TOO MANY' if too_high else ''}")
    return int(failed)


def find_phrases(prose: Prose) -> Iterator[Phrase]:
    """Yield the occurrences of all families in a passage, in the order of the text."""
    matches = [
        (match, family)
        for family, pattern in FAMILIES.items()
        for match in re.finditer(rf"\b(?:{pattern})\b".replace(" ", r"\s+"), prose.text, re.IGNORECASE)
    ]
    for match, family in sorted(matches, key=lambda found: found[0].start()):
        line = prose.line + prose.text.count("\n", 0, match.start())
        yield Phrase(str(prose.path), line, family, _in_context(match))


def count_words(text: str) -> int:
    """Count the words of a text: groups of characters between spaces that hold a letter."""
    return sum(any(character.isalpha() for character in word) for word in text.split())


def _in_context(match: re.Match[str]) -> str:
    before = match.string[max(match.start() - CONTEXT, 0) : match.start()]
    after = match.string[match.end() : match.end() + CONTEXT]
    return " ".join(f"{before}[{match[0]}]{after}".split())


if __name__ == "__main__":
    sys.exit(main())
