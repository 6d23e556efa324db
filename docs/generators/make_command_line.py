"""Generate docs/reference/command-line.md from the parser of the program. A test fails if the file is out of date.

The page is Markdown like the others, so that a repository shows it too; a Sphinx extension would leave it empty there.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from trap.cli.parser import EXIT_CODES, make_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "reference" / "command-line.md"
GUIDES = {
    "transients run": (
        "[Find transients and variables in your own images](../how-to/own-images.md),"
        " [Add next week's images, or continue an interrupted run](../how-to/continue-a-dataset.md)"
    ),
    "transients live": "[Live data](../how-to/live.md)",
    "transients simulate": "[Simulated surveys](../how-to/simulation.md)",
    "transients inspect": "[Images that are read](images.md)",
    "transients fix-headers": "[Images that are read](images.md)",
    "transients config": "[Configuration](configuration.md)",
    "transients dataset calibration": "[Calibration](../method/calibration.md)",
    "transients dataset compare": "[Try other settings, and compare the results](../how-to/change-settings.md)",
    "transients dataset delete": "[Leave out a bad night, or delete a dataset](../how-to/delete-data.md)",
    "transients dataset forget": "[Leave out a bad night, or delete a dataset](../how-to/delete-data.md)",
    "transients candidates": (
        "[Rate candidates, and agree on them](../how-to/vetting.md), [the method](../method/candidates.md)"
    ),
    "transients variables": "[Exports](../how-to/exports.md), [the method](../method/variability.md)",
    "transients lightcurve": (
        "[Get upper limits and flux densities at any position](../how-to/upper-limits.md),"
        " [Exports](../how-to/exports.md)"
    ),
    "transients export": "[Exports](../how-to/exports.md)",
    "transients extract": (
        "[Find the sources of a single image](../how-to/find-sources.md), [the method](../method/extraction.md)"
    ),
    "transients db": "[Back up, check or upgrade a database](../how-to/back-up.md), [its tables](database.md)",
    "transients serve": "[Pages of results](../how-to/pages.md)",
    "transients report": "[Send a report](../how-to/report.md)",
    "transients deploy": "[Deployments](../how-to/deployments.md)",
    "transients worker": "[Deployments](../how-to/deployments.md)",
    "transients watch": "[Process images as they come into a folder](../how-to/incoming-images.md)",
    "transients ui": "[Deployments](../how-to/deployments.md)",
}
"""Pages that describe the use of a command."""

_HEAD = """\
# Command line

<!-- made by docs/generators/make_command_line.py from the parser of the program; do not edit -->

The program is called `transients`; `python -m trap` is the same program. Every command has `--help`, which prints
the text of this page for the command. A word with `*` or
`?` needs quotation marks, so that the program and not the shell expands the pattern. Results go to standard output;
log lines and problems go to standard error. [Exit codes](exit-codes.md) lists the results that a command reports to
a script.
"""

Parser = argparse.ArgumentParser


def command_line_page() -> str:
    """Write all commands with their arguments as Markdown."""
    parser = make_parser()
    commands = list(_commands(parser))
    lines = [_HEAD, "| command | purpose |", "|---|---|"]
    for command in _subcommands(parser):
        name = command.prog.partition(" ")[2]
        lines.append(f"| [`{name}`](#transients-{name}) | {_text(command.description)} |")
    lines += ["", *_options_of_program(parser)]
    for command, depth in commands:
        lines += ["", *_section(command, depth)]
    return "\n".join(lines) + "\n"


def _options_of_program(parser: Parser) -> Iterator[str]:
    """Yield the options of the program itself."""
    yield "| option | meaning |\n|---|---|"
    for action in parser._actions:  # noqa: SLF001 (argparse has no other list of its arguments)
        if action.option_strings and not isinstance(action, argparse._HelpAction):  # noqa: SLF001
            yield f"| {_names(action)} | {_text(_help(parser, action))} |"


def _commands(parser: Parser, depth: int = 1) -> Iterator[tuple[Parser, int]]:
    """Yield the parsers of all commands with their depth, each group of commands before its members."""
    for command in _subcommands(parser):
        yield command, depth
        yield from _commands(command, depth + 1)


def _subcommands(parser: Parser) -> list[Parser]:
    """List the parsers of the commands of a parser."""
    return [
        command
        for action in parser._actions  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
        for command in action.choices.values()
    ]


def _section(command: Parser, depth: int) -> Iterator[str]:
    """Yield the lines of a command: its purpose, usage, tables of arguments, and closing text."""
    yield f"{'#' * (depth + 1)} `{command.prog}`\n"
    yield f"{_text(command.description)}\n"
    if _subcommands(command):
        members = (f"[`{c.prog}`](#{c.prog.replace(' ', '-')})" for c in _subcommands(command))
        yield f"Commands: {', '.join(members)}."
    else:
        yield f"```text\n{_usage(command)}\n```\n"
        yield from _exclusions(command)
        yield from _tables(command)
    if command.prog in GUIDES:
        yield f"\nSee also: {GUIDES[command.prog]}."


def _tables(command: Parser) -> Iterator[str]:
    """Yield a table for the arguments of a command, one for each named group of options, and the closing text."""
    plain: list[argparse.Action] = []
    named = []
    for group in command._action_groups:  # noqa: SLF001
        actions = [a for a in group._group_actions if not isinstance(a, argparse._HelpAction)]  # noqa: SLF001
        if group.title in {"positional arguments", "options"}:
            plain += actions
        elif actions:
            named.append((group, actions))
    if plain:
        yield "| argument | meaning |\n|---|---|"
        yield from (f"| {_names(action)} | {_text(_help(command, action))} |" for action in plain)
    for group, actions in named:
        title = group.title or ""
        yield (
            f"\n**{title[:1].upper()}{title[1:]}**"
            + (f": {_marked(group.description)}." if group.description else "")
            + "\n"
        )
        yield "| option | meaning |\n|---|---|"
        yield from (f"| {_names(action)} | {_text(_help(command, action))} |" for action in actions)
    epilog = (command.epilog or "").rstrip()
    if epilog == EXIT_CODES.rstrip():
        yield "\nThe command exits with 0, 1, 2, 3 or 4; [exit codes](exit-codes.md) describes them."
    elif "\n" in epilog:
        yield f"\n```text\n{epilog}\n```"
    elif epilog:
        yield f"\n{_text(epilog if not epilog.startswith('exits') else f'the command {epilog}')}"


def _usage(command: Parser) -> str:
    """Write the usage of a command: required options and positional arguments; the tables have the others."""
    words = [command.prog]
    words += [
        f"({' | '.join(_spelling(action) for action in group._group_actions)})"  # noqa: SLF001
        for group in command._mutually_exclusive_groups  # noqa: SLF001
        if group.required
    ]
    words += [_spelling(a) for a in command._actions if a.option_strings and a.required]  # noqa: SLF001
    words.append("[OPTION …]")
    words += [_positional(a) for a in command._get_positional_actions()]  # noqa: SLF001
    return " ".join(words)


def _exclusions(command: Parser) -> Iterator[str]:
    """Yield a sentence for each group of options that exclude each other."""
    for group in command._mutually_exclusive_groups:  # noqa: SLF001
        names = [f"`{action.option_strings[-1]}`" for action in group._group_actions]  # noqa: SLF001
        count = "Exactly one" if group.required else "At most one"
        yield f"{count} of {', '.join(names[:-1])} and {names[-1]} may be given.\n"


def _names(action: argparse.Action) -> str:
    """Write all names of an argument as code."""
    names = [*action.option_strings[:-1], _spelling(action)] if action.option_strings else [_positional(action)]
    return ", ".join(f"`{name}`" for name in names).replace("|", "\\|")


def _spelling(action: argparse.Action) -> str:
    """Write the long name of an option with the names of its values."""
    return f"{action.option_strings[-1]} {_values(action)}".rstrip()


def _positional(action: argparse.Action) -> str:
    """Write a positional argument; brackets enclose one that may be left out."""
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return {"?": f"[{name}]", "*": f"[{name} …]", "+": f"{name} …"}.get(str(action.nargs), name)


def _values(action: argparse.Action) -> str:
    """Write the names of the values of an option; a choice has a name in the tables, which list its words."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    name = action.metavar or ("WORD" if action.choices else action.dest.upper())
    return f"{name} …" if action.nargs == "+" else name


def _help(command: Parser, action: argparse.Action) -> str:
    """Return the help text of an argument with its default, and the words among which it chooses."""
    if action.help is None:
        return _choices(action)
    text = command._get_formatter()._expand_help(action)  # noqa: SLF001 (fills in %(default)s as --help does)
    return f"{text}{_choices(action)}"


def _choices(action: argparse.Action) -> str:
    """List the words among which an argument chooses."""
    if not action.choices:
        return ""
    return f"; one of {', '.join(f'`{word}`' for word in action.choices)}"


def _text(text: str | None) -> str:
    """Write a text of the program as a sentence of Markdown."""
    words = _marked(text or "")
    words = f"{words[:1].upper()}{words[1:]}"
    return words if words.endswith((".", "?")) or not words else f"{words}."


def _marked(text: str) -> str:
    """Mark commands, options, addresses and pages in a text of the program as Markdown does."""
    words = " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")
    words = re.sub(r"'(transients [^']*|\{stem\}[^']*)'", r"`\1`", words)
    words = re.sub(r"(?<![\w`/-])(--[a-z][a-z-]*)", r"`\1`", words)
    words = re.sub(r"(\*\.\w+|\b(?:postgresql|tcp)://[\w@:/]+)", r"`\1`", words)
    return re.sub(r"docs/([\w/-]+)\.md", r"[\1](../\1.md)", words)


if __name__ == "__main__":
    PAGE.write_text(command_line_page(), encoding="utf-8")
    print(f"{PAGE} written")
