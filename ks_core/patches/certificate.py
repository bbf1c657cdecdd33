"""What a patch was asked to do, what it is made of, and what it was measured to do: a file beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ks_core import __version__
from ks_core.checked_files import read_json, write_json
from ks_core.data.fact import Fact
from ks_core.errors import InputError, NotStoredError, ProvenanceError
from ks_core.files import sha256_of
from ks_core.formatting import shown_path
from ks_core.measurement.moments.text import TokenIds
from ks_core.models.loaded import LoadedModel
from ks_core.patches.base import Base
from ks_core.statistics.means import Mean
from ks_core.strict_json import finite_or_none

FORMAT, FILE = "ks_core/certificate/1", "certificate.json"
INPUTS_FORMAT, INPUTS = "ks_core/certificate-inputs/1", "certificate-inputs.json"
"""The facts to keep and the held-out text, with which the numbers are measured again."""

LIBRARIES = ("peft", "torch", "transformers")

FINGERPRINTS = ("weights_sha256", "settings_sha256", "tokenizer_sha256", "dtype")
"""Names of what `LoadedModel.fingerprints` are, in their order."""

REMEDY = "certify the patch anew, or fetch the folder again"


@dataclass(frozen=True)
class Numbers:
    """By name, what was measured or predicted.

    Attributes:
        means: each a value with its standard error, NaN where there is none, and the number of facts, texts or tensors
        worst: facts to keep with the greatest losses, as plain records
    """

    means: Mapping[str, Mean]
    worst: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Inputs:
    """What the numbers are measured with besides the edits: nothing else is needed to measure them again.

    Attributes:
        keep: facts that were to stay
        text: token rows, held out
        corpus: where the text is from, its hash and its place there, as plain values
    """

    keep: tuple[Fact, ...]
    text: tuple[TokenIds, ...]
    corpus: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Certificate:
    """The content of `certificate.json`.

    Attributes:
        base: name, revision and fingerprints of the model that the patch is for
        files: SHA-256 of every other file of the folder, by name
        edits: what was asked
        made: how, one record for each edited layer: method, ridge, search, second moment
        predicted: before anything was written; None where nothing was
        measured: after the written files were loaded again
        environment: device, dtype and versions of the libraries
    """

    base: Mapping[str, str | None]
    files: Mapping[str, str]
    edits: tuple[Fact, ...]
    made: tuple[Mapping[str, Any], ...]
    predicted: Numbers | None
    measured: Numbers
    environment: Mapping[str, str]


def base_record(model: LoadedModel) -> dict[str, str | None]:
    """A model as a certificate names it; a folder by its whole path."""
    base = Base.of(model)
    return {"name": base.name, "revision": base.revision, **dict(zip(FINGERPRINTS, base.fingerprints, strict=True))}


def environment_of(model: LoadedModel) -> dict[str, str]:
    """Where numbers are measured now."""
    libraries = {name: version(name) for name in LIBRARIES if find_spec(name)}  # PEFT is needed for adapters only
    return {"device": str(model.adapter.device), "dtype": model.dtype, "ks_core": __version__, **libraries}


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder but its certificate, by relative name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / FILE)
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def write_inputs(folder: Path, inputs: Inputs) -> None:
    """Write the facts to keep and the text."""
    rows = [np.asarray(row).tolist() for row in inputs.text]
    content = {"corpus": dict(inputs.corpus), "keep": [asdict(fact) for fact in inputs.keep], "text": rows}
    write_json(folder / INPUTS, INPUTS_FORMAT, content)


def read_inputs(folder: Path) -> Inputs:
    """What `write_inputs` was given.

    Raises:
        InputError: there is none.
        ProvenanceError: it is damaged.
    """
    with _stored(folder, INPUTS, INPUTS_FORMAT) as content:
        rows = tuple(np.asarray(row, dtype=np.int32) for row in content["text"])
        return Inputs(_facts(content["keep"]), rows, content["corpus"])


def write_certificate(folder: Path, certificate: Certificate) -> None:
    """Write `certificate.json`; NaN, where a number has no error, as null."""
    content = {field.name: getattr(certificate, field.name) for field in fields(certificate)}
    content["edits"] = [asdict(fact) for fact in certificate.edits]
    for name in ("predicted", "measured"):
        content[name] = None if content[name] is None else _plain(content[name])
    write_json(folder / FILE, FORMAT, content)


def read_certificate(folder: Path) -> Certificate:
    """The certificate of a patch.

    Raises:
        InputError: there is none.
        ProvenanceError: it is damaged, or of another version.
    """
    with _stored(folder, FILE, FORMAT) as content:
        predicted = content["predicted"]
        return Certificate(
            base={name: content["base"][name] for name in ("name", "revision", *FINGERPRINTS)},
            files={str(name): str(digest) for name, digest in content["files"].items()},
            edits=_facts(content["edits"]),
            made=tuple(content["made"]),
            predicted=None if predicted is None else _numbers(predicted),
            measured=_numbers(content["measured"]),
            environment={"dtype": content["environment"]["dtype"], **content["environment"]},
        )


@contextmanager
def _stored(folder: Path, name: str, form: str) -> Iterator[dict[str, Any]]:
    place = shown_path(folder / name)
    expected = "expected the folder of a patch that `ks edit` wrote with a certificate"
    if not folder.is_dir():
        raise InputError(f"{shown_path(folder)} is no folder; {expected}")
    try:
        yield read_json(folder / name, form, remedy=REMEDY)
    except NotStoredError as error:
        raise InputError(f"{shown_path(folder)} has no {name}; {expected}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProvenanceError(f"{place} lacks or misstates a field ({error}); expected it whole: {REMEDY}") from error


def _facts(records: Sequence[Mapping[str, Any]]) -> tuple[Fact, ...]:
    return tuple(Fact(**record) for record in records)


def _plain(numbers: Numbers) -> dict[str, Any]:
    means = {
        name: {"value": finite_or_none(of.value), "error": finite_or_none(of.error), "n": of.count}
        for name, of in numbers.means.items()
    }
    return {"means": means, "worst": list(numbers.worst)}


def _numbers(content: Mapping[str, Any]) -> Numbers:
    means = {
        name: Mean(_or_nan(of["value"]), _or_nan(of["error"]), int(of["n"])) for name, of in content["means"].items()
    }
    return Numbers(means, tuple(content["worst"]))


def _or_nan(number: float | None) -> float:
    return math.nan if number is None else float(number)
