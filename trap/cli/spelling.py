"""A parser of arguments that answers a misspelt word with the nearest word it knows."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SpellingParser"]

_CHOICE = re.compile(r"invalid choice: '(?P<word>[^']*)' \(choose from (?P<choices>.*)\)")
_FORMER_NAMES = {"inject": "fix-headers"}
"""Commands that TraP, or an earlier version, has under another name."""
_UNKNOWN = re.compile(r"unrecognized arguments: .*?(?P<word>--[a-z][a-z-]*)")


class SpellingParser(argparse.ArgumentParser):
    """A parser whose errors name the nearest command, choice or option. Its sub-parsers are of the same class."""

    def error(self, message: str) -> NoReturn:
        """Print the error with the nearest word, and exit with 2.

        Parameters
        ----------
        message
            Message of argparse.
        """
        choice = _CHOICE.search(message)
        if choice is not None and choice["word"] in _FORMER_NAMES:
            word = choice["word"]
            self.exit(2, f"{self.prog}: the command {word!r} is now called {_FORMER_NAMES[word]!r}\n")
        super().error(message + self._suggestion(message))

    def _suggestion(self, message: str) -> str:
        """Return the nearest word to the one that a message complains about, as a question; empty without one."""
        choice, unknown = _CHOICE.search(message), _UNKNOWN.search(message)
        if choice is not None:
            word, known = choice["word"], re.findall(r"'([^']+)'", choice["choices"])
        elif unknown is not None:
            # Only the parser of the program reports an unknown option, which may be one of any command.
            word, known = unknown["word"], list(self._options())
        else:
            return ""
        return "".join(f"; did you mean {near}?" for near in difflib.get_close_matches(word, known, n=1))

    def _options(self) -> Iterator[str]:
        """List the long options of this parser and of its sub-parsers."""
        for action in self._actions:
            yield from (option for option in action.option_strings if option.startswith("--"))
            if isinstance(action.choices, dict):
                for parser in action.choices.values():
                    if isinstance(parser, SpellingParser):
                        yield from parser._options()  # noqa: SLF001 (its own class)
