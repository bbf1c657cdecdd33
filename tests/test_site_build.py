"""What the build of the documentation site lets through and what it does not; run by `tox -e docs`."""

import re
import subprocess
import sys

import pytest
from checkout import ROOT

pytest.importorskip("sphinx", reason="the site is not built here: tox -e docs does")
pytest.importorskip("furo", reason="the site is not built here: tox -e docs does")

GOOD = """# Page

[there](#a-heading-and-more) [code](../ks_core/errors.py) and $P_{ij}$ in a line

![figure](../fixtures/figures/dose.png)

## A heading, and `more`

```math
P_{ij} = \\frac{k_i^\\top C^{-1} k_j}{k_i^\\top C^{-1} k_i}
```

```console
$ ks compare a b
```
"""


def build(folder, page):
    """A site of one page, by the project's own configuration: what the build says, and its HTML."""
    source, site = folder / "docs", folder / "site"
    source.mkdir()
    (source / "index.md").write_text(page, encoding="utf-8")
    (folder / "fixtures").symlink_to(ROOT / "fixtures")
    strict = ["-W", "--keep-going", "-n", "-q", "-b", "html"]
    called = [sys.executable, "-m", "sphinx", *strict, "-c", str(ROOT / "docs"), str(source), str(site)]
    ended = subprocess.run(called, capture_output=True, text=True, timeout=300)
    html = (site / "index.html").read_text(encoding="utf-8") if (site / "index.html").is_file() else ""
    return ended.returncode, ended.stderr, html


def test_page_is_built_whole_and_fetches_nothing(tmp_path):
    status, said, html = build(tmp_path, GOOD)
    assert (status, said) == (0, "")
    assert html.count("<math") == 2
    assert "<pre>" not in html  # a box that scrolls can be reached by keyboard
    assert html.count('<pre tabindex="0">') == 1
    assert 'href="https://github.com/ks-core/ks_core/blob/main/ks_core/errors.py"' in html
    assert (tmp_path / "site" / "_images" / "dose.png").is_file()
    fetched = re.findall(r"<(?:script|img|iframe)[^>]* src=\"(https?:[^\"]+)|<link[^>]* href=\"(https?:[^\"]+)", html)
    assert fetched == []
    styles = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "site" / "_static").rglob("*.css"))
    assert re.findall(r"url\(['\"]?https?:[^)]+|@import[^;]+http[^;]+", styles) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("[x](#nowhere)", "nowhere"),
        ("[x](nowhere.md)", "nowhere.md"),
        ("![x](../fixtures/nowhere.png)", "nowhere.png"),
        ("$\\nonsense{x}$", "formula cannot be shown"),
        ("```{toctree}\nnowhere\n```", "nowhere"),
        ("```{eval-rst}\n.. autofunction:: ks_core.nowhere\n```", "nowhere"),
    ],
)
def test_planted_fault_fails_the_build(tmp_path, fault, said):
    status, complaint, _ = build(tmp_path, f"{GOOD}\n{fault}\n")
    assert status != 0
    assert said in complaint
