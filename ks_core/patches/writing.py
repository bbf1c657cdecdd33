"""A patch written, loaded again and certified before it is put in its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ks_core.models.loaded import LoadedModel
from ks_core.patches.certificate import Certificate, Inputs, Numbers
from ks_core.patches.folder import StoredPatch, changed_folder, new_folder
from ks_core.patches.measuring import made_of
from ks_core.patches.patch import Patch
from ks_core.patches.verification import certify


@dataclass(frozen=True, eq=False)
class Measuring:
    """With what a patch is certified.

    Attributes:
        model: the base, unedited
        inputs: facts to keep and held-out text
        predicted: before it was written, where something was
    """

    model: LoadedModel
    inputs: Inputs
    predicted: Numbers | None = None


def write(patch: Patch, place: Path | StoredPatch, measuring: Measuring | None) -> Certificate | None:
    """Write a patch into a new folder, or in the place of the one that it was made from.

    Args:
        patch: to write.
        place: a folder that is not there yet, or the one that the patch was made from.
        measuring: to certify it with; None for no certificate.

    Returns:
        The certificate, where there is one. Until it is written, what was in the place stays as it was.

    Raises:
        KsError: as `new_folder`, `changed_folder` and `certify`.
    """
    put = changed_folder(place, patch) if isinstance(place, StoredPatch) else new_folder(place, patch)
    with put as made:
        if measuring is None:
            return None
        made_how = made_of(patch.edits)
        return certify(made, measuring.model, patch.facts, measuring.inputs, made_how, measuring.predicted)
