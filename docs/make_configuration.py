"""Write docs/configuration.md anew, from the settings; a test says when that is due."""

from pathlib import Path

from trap.report.settings import settings_page

page = Path(__file__).with_name("configuration.md")
page.write_text(settings_page(), encoding="utf-8")
print(f"{page} written")
