"""How Sphinx builds the site: ``sphinx-build -W docs site``."""

project = "lightning-recipes"
copyright = "the lightning-recipes authors"  # noqa: A001 - as Sphinx calls it
extensions = ["myst_parser"]
exclude_patterns = ["architecture.md"]  # of the code, for those who change it; linked as a file
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "lightning-recipes"
html_copy_source = False
