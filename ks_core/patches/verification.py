"""A patch is certified when it is written, and verified by whoever gets it: loaded from its files and measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ks_core.data.fact import Fact
from ks_core.errors import InputError
from ks_core.files import sha256_of
from ks_core.models.dtypes import dtype_of
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import Model, checked_device, load_model
from ks_core.models.packaged import is_packaged
from ks_core.patches.certificate import (
    FILE,
    FINGERPRINTS,
    Certificate,
    Inputs,
    Numbers,
    base_record,
    environment_of,
    hashes_of,
    read_certificate,
    read_inputs,
    write_certificate,
    write_inputs,
)
from ks_core.patches.measuring import GROWTH, measure_patch
from ks_core.patches.tolerances import Tolerance, growth_tolerance, tolerances, unit_roundoff
from ks_core.statistics.means import Mean

MODEL_CARD = "README.md"


def certify(
    folder: Path,
    model: LoadedModel,
    edits: Sequence[Fact],
    inputs: Inputs,
    made: Sequence[Mapping[str, Any]],
    predicted: Numbers | None = None,
) -> Certificate:
    """Load the written files again, measure, and write the certificate beside them.

    Args:
        folder: of the patch, whole but for its certificate.
        model: the base, unedited; it is what it was afterwards.
        edits: what was asked.
        inputs: facts to keep and held-out text, which are written beside the certificate.
        made: how, a record of plain JSON values for each edited layer: layer, method, ridge, search, second_moment.
        predicted: under the names of `measured`, where something was.

    Raises:
        InputError: the folder does not fit the model, or a fact cannot be asked.
    """
    measured = measure_patch(model, folder, edits, inputs).numbers
    write_inputs(folder, inputs)
    environment = environment_of(model)
    certificate = Certificate(
        base_record(model), hashes_of(folder), tuple(edits), tuple(made), predicted, measured, environment
    )
    write_certificate(folder, certificate)
    return certificate


@dataclass(frozen=True)
class Check:
    """One thing that a certificate says, and what was found.

    Attributes:
        certified: a hash, or a number; None where the certificate has none, as of a file that was added since
        found: the same now; None where there is none
        tolerance: of a number
    """

    name: str
    certified: str | Mean | None
    found: str | Mean | None
    tolerance: Tolerance | None = None

    @property
    def is_number(self) -> bool:
        """Whether it is about a number, not a hash."""
        return isinstance(self.certified, Mean) or isinstance(self.found, Mean)

    @property
    def holds(self) -> bool:
        """Whether a hash is the same, or a number within its tolerance over the same n."""
        if not isinstance(self.certified, Mean) or not isinstance(self.found, Mean):
            return self.certified == self.found
        tolerance = self.tolerance or Tolerance(0)
        if abs(self.certified.count - self.found.count) > tolerance.count:
            return False
        one, other = self.certified.value, self.found.value
        return abs(one - other) <= tolerance.value or (math.isnan(one) and math.isnan(other))


@dataclass(frozen=True, eq=False)
class Verification:
    """What became of a certificate.

    Attributes:
        checks: of files, then of the base, then of numbers; those of a kind come only where all before them hold
        environment: in which it was measured now
    """

    certificate: Certificate
    checks: tuple[Check, ...]
    environment: Mapping[str, str]

    @property
    def failed(self) -> tuple[Check, ...]:
        """What does not hold."""
        return tuple(check for check in self.checks if not check.holds)

    @property
    def measured(self) -> bool:
        """Whether numbers were measured again: files and base are what was certified."""
        return any(check.is_number for check in self.checks)


def verify(
    folder: str | Path, model: Model | None = None, *, device: str | None = None, dtype: str | None = None
) -> Verification:
    """Hold a patch against its certificate: its files, its base, and every number, measured again.

    Args:
        folder: of the patch.
        model: the base; found by the certificate's name where left out.
        device: to measure on; the CPU where left out.
        dtype: to measure in; the certificate's where left out. Numbers of another dtype are held to the coarser one.

    Raises:
        InputError: no certificate, a base that cannot be found, no such device or dtype.
        ProvenanceError: a damaged certificate.

    Example:
        >>> import ks_core as ks
        >>> for check in ks.verify("my-edits").failed:  # doctest: +SKIP
        ...     print(check.name, check.certified, check.found)
    """
    folder = Path(folder)
    if dtype is not None:
        dtype_of(dtype)
    if device is not None:
        checked_device(device)
    certificate = read_certificate(folder)
    checks = [*_files(folder, certificate)]
    if not all(check.holds for check in checks):
        return Verification(certificate, tuple(checks), {})
    base = load_model(model, device=device, dtype=dtype) if isinstance(model, LoadedModel) else None
    base = base or _found(certificate, model, device)
    checks += _same_base(certificate, base)
    if not all(check.holds for check in checks):
        return Verification(certificate, tuple(checks), environment_of(base))
    if dtype is not None:
        base.model.to(dtype_of(dtype))  # after the hash of its weights was compared
    checks += _numbers(folder, certificate, base)
    return Verification(certificate, tuple(checks), environment_of(base))


def _files(folder: Path, certificate: Certificate) -> Iterator[Check]:
    """Every file that was certified, and every other that lies in the folder or below it now.

    Which files tools read is up to them: weights in another format, a chat template, code, or a folder of its own for a
    second adapter or the tokenizer. So none may be added but the model card, which hubs write and no loader reads, and
    what is hidden (.gitattributes, .git, .cache), where version control and downloads keep their books.
    """
    for name, digest in certificate.files.items():
        path = folder / name
        inside = ".." not in PurePosixPath(name).parts and not PurePosixPath(name).is_absolute()
        yield Check(f"file {name}", digest, sha256_of(path) if inside and path.is_file() else None)
    known = {*certificate.files, FILE, MODEL_CARD}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        is_folder = path.is_dir() and not path.is_symlink()  # a link to one is not looked into, and counts itself
        if not is_folder and not hidden and name not in known:
            yield Check(f"file {name}", None, sha256_of(path) if path.is_file() else "no plain file")


def _found(certificate: Certificate, model: Model | None, device: str | None) -> LoadedModel:
    """The base by its name, in the dtype in which its weights were hashed."""
    recorded = certificate.base
    name, revision = model, None
    if name is None:
        name = str(recorded["name"])
        revision = None if is_packaged(name) else recorded["revision"]  # that of a packaged model is its pin
    try:
        return load_model(name, revision=revision, device=device, dtype=recorded["dtype"])
    except InputError as error:
        raise InputError(
            f"the base of the patch cannot be loaded: {error}; name the model that it is for (--model)"
        ) from error


def _same_base(certificate: Certificate, base: LoadedModel) -> Iterator[Check]:
    found = base_record(base)
    for name in FINGERPRINTS:
        yield Check(f"base {name}", certificate.base[name], found[name])


def _numbers(folder: Path, certificate: Certificate, base: LoadedModel) -> Iterator[Check]:
    inputs = read_inputs(folder)
    measured = measure_patch(base, folder, certificate.edits, inputs)
    unit = unit_roundoff(base.dtype, str(certificate.environment["dtype"]))
    allowed = tolerances(base, unit, measured.before, measured.after)
    certified, found = certificate.measured.means, measured.numbers.means
    for name in [*certified, *(of for of in found if of not in certified)]:
        tolerance = growth_tolerance(unit) if name.startswith(GROWTH) else allowed.get(name, Tolerance(0))
        yield Check(name, certified.get(name), found.get(name), tolerance)
