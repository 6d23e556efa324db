"""Pages whose blocks fail, or print something else, are reported with their place."""

from __future__ import annotations

import os
import time

import pytest
from blocks import read_blocks, read_commands
from pages import PageError, compare, main, run_page


@pytest.fixture
def follow(tmp_path):
    """Follow the blocks of a page in an empty folder."""

    def run(text):
        page = tmp_path / "page.md"
        page.write_text(text, encoding="utf-8")
        run_page(page, tmp_path / "prepared", os.environ, tmp_path / "folder")
        return tmp_path / "folder"

    return run


def test_blocks_share_a_folder_a_shell_and_the_names_of_python(follow):
    folder = follow("""\
<!-- file: notes.toml -->
```toml
depth = 3
```

```console
$ mkdir inner && cd inner && export WORD=seven \\
    && pwd
…/folder/inner
$ echo "$WORD"; cat ../notes.toml
seven
depth = 3
```

```python
import os
count = len(os.listdir())
print(count)
```

```text
2
```

Text between the blocks.

```python
from pathlib import Path
Path("count.txt").write_text(str(count))
```
""")
    assert (folder / "count.txt").read_text() == "2"


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ("```console\n$ true\n$ false\n```", r"page.md:1: \$ false\nexit code 1 instead of 0"),
        ("```console\n$ echo six\nseven\n```", r"shows:\nseven\n\nbut the output is:\nsix"),
        ("```console\n$ echo six; echo seven\nsix\n```", "but the output is"),
        ("```console\n$ 'open\n```", "exit code"),
        ("```console\n$ exit 3\n```", "the process ended"),
        ("<!-- fails: 2 -->\n```console\n$ true\n```", "exit code 0 instead of 2"),
        ("```python\n1 / 0\n```", "ZeroDivisionError"),
        ("```python\nprint(6)\n```\n\n```text\n7\n```", "shows:\n7"),
        ("```toml\na = \n```", "Invalid value"),
        ("```console\necho\n```", "begins with a prompt"),
        ("<!-- fails: 2 -->\n# Heading\n", "not before a block"),
    ],
)
def test_failure_is_reported(follow, block, reason):
    with pytest.raises((PageError, ValueError), match=reason):
        follow(block)


def test_block_that_needs_a_cluster_is_not_run(follow):
    follow("<!-- not run: it needs a cluster -->\n```console\n$ false\n```\n")


def test_server_ends_with_its_page(follow):
    folder = follow("""\
<!-- until: ready -->
```console
$ echo $BASHPID > pid; echo ready; exec sleep 100
```

```console
$ kill -0 "$(cat pid)"
```
""")
    number = int((folder / "pid").read_text())
    for _ in range(100):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the server still runs")


def test_dots_stand_for_text_and_for_lines():
    compare("a … c\n…\nz\n", "a b b c  \nd\ne\nz\n", 0)
    compare("…\nz\n", "z\n", 0)
    with pytest.raises(PageError):
        compare("a … c\n", "a b\nc\n", 0)


def test_output_of_python_is_no_block_of_its_own(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n\n```text\n1\n```\n\n```text\nfree\n```\n")
    assert [(block.language, block.output) for block in read_blocks(page)] == [("python", "1\n"), ("text", None)]


def test_command_may_have_several_lines(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```console\n$ one \\\n    two\nthree\n$ four\n```\n")
    (block,) = read_blocks(page)
    assert [(command.text, command.output) for command in read_commands(block)] == [
        ("one \\\n    two", "three\n"),
        ("four", None),
    ]


def test_page_that_continues_another_has_its_folder(tmp_path):
    first, second = tmp_path / "1-first.md", tmp_path / "2-second.md"
    first.write_text("""```console\n$ echo three > number.txt\n```\n""")
    second.write_text("""<!-- continues: 1-first.md -->\n# Title\n\n```console\n$ cat number.txt\nthree\n```\n""")
    assert main(["--keep", str(tmp_path / "kept"), str(first), str(second)]) == 0
    assert [folder.name for folder in (tmp_path / "kept").iterdir()] == ["1-first"]
