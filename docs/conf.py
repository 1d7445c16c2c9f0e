"""How Sphinx makes the site of these pages: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

import forgedb

sys.path.insert(0, str(Path(__file__).with_name("_site")))

project = "forgedb"
author = "the forgedb maintainers"
version = release = forgedb.__version__

extensions = ["myst_parser", "navigation"]
exclude_patterns = ["_site"]

# Headings are linked to as on a forge, down to this level.
myst_heading_anchors = 4

# Where a lexer gives up it is tried again, and forgives: a shell's quotes go over several lines.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"forgedb {version}"
html_copy_source = False
html_show_sphinx = False
