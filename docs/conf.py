"""How Sphinx builds the site: ``sphinx-build -W docs site``."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "lightning-recipes"
copyright = "the lightning-recipes authors"  # noqa: A001 - as Sphinx calls it
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["architecture.md"]  # of the code, for those who change it; linked as a file
myst_enable_extensions = ["deflist"]
nb_execution_mode = "off"  # the tests run them; what they showed is in them
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
smartquotes = False  # a command has two dashes
html_theme = "furo"
html_title = "lightning-recipes"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]


def setup(app):  # type: ignore[no-untyped-def]
    """Make the pages that are made from the code before any page is read."""
    import generated_pages

    generated_pages.write(HERE / "generated")
