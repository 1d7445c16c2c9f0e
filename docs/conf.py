"""How Sphinx makes the site of these pages: ``make docs``."""

from __future__ import annotations

import sys
from pathlib import Path

import forgedb

sys.path.insert(0, str(Path(__file__).with_name("_site")))

project = "forgedb"
author = "the forgedb maintainers"
version = release = forgedb.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "diagram",
    "navigation",
    "reference",
]
smartquotes = False
exclude_patterns = ["_site"]

# Headings are linked to as on a forge, down to this level.
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

# A type in a signature that leads nowhere is a warning where it is forgedb's.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!forgedb\.).*"), ("py:.*", r".*\.[A-Z](_co)?")]
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
maximum_signature_line_length = 88

# Where a lexer gives up it is tried again, and forgives: a shell's quotes go over several lines.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"forgedb {version}"
html_static_path = ["_static"]
html_favicon = "_static/icon.svg"
html_js_files = ["search.js"]
html_css_files = ["forgedb.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
