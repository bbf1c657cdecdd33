"""The documentation site: `tox -e docs` builds it into build/site."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))
sys.path.insert(0, str(HERE.parent))

from ks_core import __version__  # noqa: E402

project = "ks_core"
author = "The ks_core authors"
version = release = __version__
copyright = author
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "site_extension"]
exclude_patterns = ["README.md", "_ext"]  # README.md is the index on the repository's web site

# Pages are plain Markdown, which the repository's web site shows too: its anchors, its fences of formulas.
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_update_mathjax = False
suppress_warnings = ["misc.highlighting_failure"]  # blocks without a language, such as output of a command

# Notebooks lie without outputs; one that fails fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars
os.environ.setdefault("OMP_NUM_THREADS", "2")

# A docstring's single backticks are names, and its types are said in words where they matter.
default_role = "code"
smartquotes_action = "D"  # napoleon writes " -- "; quotes stay as they are
napoleon_custom_sections = ["Numerics"]
napoleon_use_ivar = True
napoleon_attr_annotations = False  # the signature has them
napoleon_use_rtype = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
# Strict about pages and anchors. Types in signatures name other libraries, whose inventories would need a network.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r".*")]

html_theme = "furo"
html_title = f"ks_core {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "source_repository": "https://github.com/ks-core/ks_core/",
    "source_branch": "main",
    "source_directory": "docs/",
}
html_copy_source = False
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
linkcheck_timeout = 20
linkcheck_retries = 2
# Pages of the repository are checked as files, by tests/test_documents.py: a page that is new is not there yet.
linkcheck_ignore = [r"https://github\.com/ks-core/ks_core/(blob|tree)/main/"]
