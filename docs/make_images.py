"""Make the table of checks in docs/images.md from the records of the checks; a test compares the two."""

from pathlib import Path

from trap.quality.checks import checks_table

PAGE = Path(__file__).with_name("images.md")
BEGIN, END = "<!-- checks: made by docs/make_images.py -->\n", "<!-- end of checks -->\n"


def write_checks() -> None:
    """Write the table into the page, between its marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}{checks_table()}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write_checks()
    print(f"{PAGE} written")
