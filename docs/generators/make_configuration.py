"""Generate docs/reference/configuration.md from the settings. A test fails if the file is out of date."""

from pathlib import Path

from trap.report.settings import settings_page

page = Path(__file__).parents[1] / "reference" / "configuration.md"
page.write_text(settings_page(), encoding="utf-8")
print(f"{page} written")
