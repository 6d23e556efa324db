"""Generate docs/database.md from the models. A test fails if the file is out of date."""

from pathlib import Path

from trap.db.documentation import database_page

page = Path(__file__).with_name("database.md")
page.write_text(database_page(), encoding="utf-8")
print(f"{page} written")
