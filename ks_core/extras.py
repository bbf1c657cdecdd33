"""The optional parts of the package, what each needs to be installed, and one clear error where that is missing."""

from __future__ import annotations

from importlib.util import find_spec

from ks_core.errors import MissingExtraError

EXTRAS = {
    "models": ("accelerate", "gguf", "platformdirs", "tokenizers", "tqdm", "transformers"),
    "paper": ("jinja2", "jsonschema", "matplotlib", "pyarrow", "pytest", "vl_convert"),
    "conformance": ("hypothesis", "pytest"),
    "hub": ("datasets",),
    "edit": ("peft",),
}
"""extra of pyproject.toml → what it installs besides other extras, by the name that is imported"""


def require(extra: str, what: str) -> None:
    """Refuse to go on where packages of an extra are not installed; imports none of them.

    Args:
        extra: key of `EXTRAS`.
        what: needs them, as the message begins.

    Raises:
        MissingExtraError: names the packages, and the command that installs them.

    Example:
        >>> require("conformance", "the suite of laws")  # installed where this runs
    """
    missing = [name for name in EXTRAS[extra] if not _is_installed(name)]
    if missing:
        raise MissingExtraError(
            f"{what} needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed; "
            f'install what it needs with: pip install "ks_core[{extra}]"'
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ImportError:  # a finder that refuses it
        return False
