"""Where the files under `fixtures/` lie: in a source tree and in an installed wheel.

A wheel has the facts, the baselines, the published numbers and one trained model. Others and figures are in the
repository only.
"""

from __future__ import annotations

from pathlib import Path

from ks_core.errors import AssetError

_PACKAGE = Path(__file__).resolve().parent
# A wheel carries the folder inside the package; a source tree, and an editable install of it, beside the package.
# The wheel's place comes first: beside an installed package there may be somebody else's `fixtures`.
_PLACES = (_PACKAGE / "fixtures", _PACKAGE.parent / "fixtures")


def fixture_path(name: str) -> Path:
    """Path of a file that ships with the package.

    Args:
        name: path below `fixtures/`, with forward slashes.

    Returns:
        The path of the existing file or folder.

    Raises:
        AssetError: no such file; the installation is incomplete or the name is wrong.

    Example:
        >>> fixture_path("facts/facts.json").name
        'facts.json'
    """
    for place in _PLACES:
        path = place / name
        if path.exists():
            return path
    raise AssetError(
        f"the packaged file {name} is in neither {_PLACES[0]} nor {_PLACES[1]}; "
        "check the name, or install the package again"
    )
