"""A parser of arguments that answers a misspelt word with the nearest word it knows."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import TYPE_CHECKING, Any, NoReturn

from trap.escapes import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["SpellingParser"]

_CHOICE = re.compile(r"invalid choice: '(?P<word>[^']*)' \(choose from (?P<choices>.*)\)")
_FORMER_NAMES = {"inject": "fix-headers"}
"""Commands that TraP, or an earlier version, has under another name."""
_UNKNOWN = re.compile(r"unrecognized arguments: .*?(?P<word>--[a-z][a-z-]*)")


_QUOTED_URL = re.compile(r"(?P<mark>['\"]).*(://|[@=]|pass).*(?P=mark)", re.IGNORECASE | re.DOTALL)


class SpellingParser(argparse.ArgumentParser):
    """A parser whose errors name the nearest command, choice or option. Its sub-parsers are of the same class."""

    _is_intermixed = False

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 (argparse's overloads)
        """Parse arguments; values of unknown options are not shown, since they may be URLs with passwords.

        Parameters
        ----------
        args, namespace
            As for argparse.
        """
        arguments, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(_without_values(unknown))}")
        return arguments

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401
        """Parse arguments that the parser knows; options may stand between the words of a list.

        argparse would otherwise end the list at the first option: ``lightcurve 1 --csv 173.1 27.7`` had no position.

        Parameters
        ----------
        args, namespace
            As for argparse.
        """
        if self._is_intermixed or not any(action.nargs == "*" for action in self._get_positional_actions()):
            return super().parse_known_args(args, namespace)
        self._is_intermixed = True  # the passes over options and over words come back here
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_intermixed = False

    def error(self, message: str) -> NoReturn:
        """Print the error with the nearest word, and exit with 2. Quoted words that may be URLs are left out.

        Parameters
        ----------
        message
            Message of argparse.
        """
        choice = _CHOICE.search(message)
        if choice is not None and choice["word"] in _FORMER_NAMES:
            word = choice["word"]
            self.exit(2, f"{self.prog}: the command {word!r} is now called {_FORMER_NAMES[word]!r}\n")
        shown = _QUOTED_URL.sub("'…'", message)
        super().error(plain_text(shown + self._suggestion(message)))

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


def _without_values(words: list[str]) -> Iterator[str]:
    """Yield unknown words; behind an option, and in place of a word that may be a URL, three dots."""
    is_behind = False
    for word in words:
        name, has_value, _ = word.partition("=")
        is_option = word.startswith("-") and not word[1:2].isdigit()
        if is_option:
            yield f"{name}=…" if has_value else word
        else:
            yield "…" if is_behind or re.search(r"://|[@=]|pass", word, re.IGNORECASE) else word
        is_behind = is_option
