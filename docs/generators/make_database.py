"""Generate docs/reference/database.md from the models. A test fails if the file is out of date."""

from pathlib import Path

from trap.db.documentation import database_page

page = Path(__file__).parents[1] / "reference" / "database.md"
page.write_text(database_page(), encoding="utf-8")
print(f"{page} written")
