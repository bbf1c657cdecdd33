"""The suite that `pytest --pyargs ks_core.conformance` runs; the plugin fills in one test for each law."""

from ks_core.conformance.binding import BoundLaw


def test_law(law: BoundLaw) -> None:
    """Hold what `--ks-editor`, `--ks-collector` or `--ks-extractor` names against one law."""
    law()
