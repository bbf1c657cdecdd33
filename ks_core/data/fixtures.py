"""Files that ship with the package, and the folder that only a checkout of the project has."""

from __future__ import annotations

from pathlib import Path

from ks_core.shipped import fixture_path as fixture_path


def checkout_fixtures(root: Path) -> Path | None:
    """The folder `fixtures` of a checkout of the project, where `root` is one; the package itself may be elsewhere.

    Example:
        >>> checkout_fixtures(Path("/nowhere")) is None
        True
    """
    ours = (root / "ks_core" / "pytest_plugin.py").is_file() and (root / "fixtures" / "models").is_dir()
    return root / "fixtures" if ours else None
