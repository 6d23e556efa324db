"""Phrases are counted in prose, and in nothing else."""

import prose
import pytest
from sources import prose_of


def phrases(path):
    return [(found.line, found.family) for passage in prose_of(path) for found in prose.find_phrases(passage)]


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("Return what is left.", "what is/was/the/of"),
        ("What the header holds.", "what is/was/the/of"),
        ("The header says so.", "say/tell"),
        ("Told by the caller.", "say/tell"),
        ("Keep those that fit.", "those that/that of"),
        ("Larger than that of the beam.", "those that/that of"),
        ("Two images, of which one is kept.", "of/by/in which, for whom"),
        ("The run for whom it waits.", "of/by/in which, for whom"),
        ("Begin anew.", "beside, anew"),
        ("It waits for ever.", "beside, anew"),
        ("NaN where there is none.", "where there is, nobody"),
        ("Left where nobody looks.", "where there is, nobody"),
    ],
)
def test_phrase_of_each_family_is_found(write, text, family):
    path = write("module.py", f'"""{text}"""\n')

    assert phrases(path) == [(1, family)]


def test_docstrings_attribute_docstrings_and_comments_are_read_with_their_lines(write):
    path = write(
        "module.py",
        '''
        """Module.

        What is read.
        """

        LIMIT = 3  # what is allowed
        """What was allowed."""


        class Image:
            """What the class is."""

            def read(self) -> None:
                """Read what is there.

                Until what is there has been read.
                """
                # It reads
                # what is left.
        ''',
    )

    assert [line for line, _ in phrases(path)] == [4, 7, 8, 12, 15, 17, 20]


def test_phrase_that_runs_across_lines_is_found_at_its_start(write):
    path = write("module.py", '"""Images and\n\nthose\n    that fail."""\n# Those\n# that fail.\n')

    assert phrases(path) == [(3, "those that/that of"), (5, "those that/that of")]


def test_comments_of_two_statements_are_two_texts(write):
    path = write("module.py", "a = 1  # those\nbeta = 2  # that fail\n")

    assert phrases(path) == []


def test_code_is_not_counted(write):
    path = write(
        "module.py",
        '''
        """Call ``what is`` or `those that` of https://example.org/beside/anew.

        >>> print("what is")
        those that
        """

        what_is = say = "what is said"
        message = f"those that {what_is}"
        tell = 1  # noqa: E501
        ''',
    )

    assert phrases(path) == []


def test_normal_english_passes(write):
    path = write(
        "module.py",
        '''
        """Images that overlap, that is, images whose centres are near. The box which is largest wins.

        The region to which a pixel belongs; a besieged essay; where there was light.
        """
        ''',
    )

    assert phrases(path) == []


def test_rate_is_per_thousand_words_of_prose(write, capsys):
    write("folder/module.py", f'"""{"word " * 1997}Tell 1 2 3 it all."""\nvalue = "tell"\n')

    assert prose.main(["folder", "--limit", "0.51"]) == 0
    assert "2000 words" in capsys.readouterr().out
    assert prose.main(["folder"]) == 1
    assert " 0.50     1  say/tell  TOO MANY" in capsys.readouterr().out


def test_list_shows_file_line_and_phrase(write, capsys):
    write("folder/module.py", '"""Open images.\n\nA header says nothing of it.\n"""\n')

    assert prose.main(["--list", "folder/module.py"]) == 1
    assert capsys.readouterr().out.startswith("folder/module.py:3: Open images. A header [says] nothing of it.\n")


def test_unknown_folder_is_refused(write):
    write("folder/module.py", "")

    with pytest.raises(SystemExit, match="no such file or folder: flodder"):
        prose.main(["flodder"])
