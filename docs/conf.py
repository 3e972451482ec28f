"""How `make docs` builds the site. The sources are the repository as it lies; docs/site/ makes pages of what is not prose."""
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

project = "evenflow"
root_doc = "docs/index"
extensions = ["myst_parser", "docs.site.mathml", "docs.site.pages"]
source_suffix = {".md": "markdown", ".py": "markdown"}  # pages.py makes Markdown of a source file
include_patterns = ["*.md", "docs/**.md", "reference/**.py"]
exclude_patterns = [
    *(folder.name for folder in ROOT.iterdir() if folder.is_dir() and folder.name not in ("docs", "reference")),
    "docs/_site", "docs/experiments/prose", "reference/face", "**/__pycache__",
]
nitpicky = True

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

html_theme = "furo"
html_title = "evenflow"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_additional_pages = {"index": "redirect.html"}
templates_path = ["site/templates"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_show_copyright = False
smartquotes = False
