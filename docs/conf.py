"""Configuration of the documentation, which `make docs` builds without a network and with warnings as errors.

Sphinx with the PyData theme is the choice of astropy, photutils, numpy and gammapy, so that astronomers know their way
around the pages. Pages are Markdown, which a repository shows too. Everything that a page loads is among its own files.
"""

import trap

project = "trap-transients"
author = "the trap-transients developers"
copyright = f"2026, {author}"  # noqa: A001 (Sphinx's name)
release = version = trap.__version__

extensions = [
    "myst_parser",  # pages in Markdown
    "numpydoc",  # docstrings in the numpydoc format
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",  # cards and tabs
    "sphinx-mathjax-offline",  # equations without a network
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "generators"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4  # headings have the anchors that a repository gives them
myst_dmath_double_inline = True

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc has the types, shapes and units in words
numpydoc_show_class_members = False
autosummary_generate = False  # numpydoc loads it; no page has a table of it

copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = f"trap-transients {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "trap-transients"},
    "header_links_before_dropdown": 8,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_prev_next": True,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
