"""Certificates: what is written is what is read, by the schema that ships, and damage is refused."""

import json
import math
from dataclasses import asdict, replace

import jsonschema
import numpy as np
import pytest
from certified import MADE, certified
from checkout import ROOT
from errors import refused

from ks_core.errors import InputError, ProvenanceError
from ks_core.measurement.consequences import consequences, read
from ks_core.models.loading import load_model
from ks_core.patches.certificate import (
    FILE,
    INPUTS,
    Numbers,
    hashes_of,
    read_certificate,
    read_inputs,
    write_certificate,
)
from ks_core.patches.loading import changed_model
from ks_core.statistics.means import Mean

SCHEMA = json.loads((ROOT / "ks_core" / "patches" / "certificate.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def patch(tmp_path_factory):
    return certified(tmp_path_factory.mktemp("certified"))


def test_a_certificate_is_as_its_schema_says(patch):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    content = json.loads((patch / FILE).read_text(encoding="utf-8"))
    jsonschema.validate(content, SCHEMA)
    for broken in (content | {"more": 1}, content | {"files": {}}, content | {"base": {}}, content | {"edits": [{}]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, SCHEMA)


def test_a_certificate_is_read_as_it_was_written(patch, tmp_path):
    certificate = read_certificate(patch)
    predicted = Numbers({"kept_loss": Mean(0.5, math.nan, 3)}, ({"case_id": 1},))
    again = replace(certificate, predicted=predicted)
    write_certificate(tmp_path, again)
    found = read_certificate(tmp_path)
    assert (found.base, found.files, found.edits, found.made) == (
        certificate.base,
        certificate.files,
        certificate.edits,
        tuple(MADE),
    )
    assert found.predicted is not None
    np.testing.assert_equal(asdict(found.predicted.means["kept_loss"]), asdict(predicted.means["kept_loss"]))
    assert found.environment == certificate.environment


def test_it_names_every_file_with_its_hash_and_the_base_with_its_fingerprints(patch):
    certificate, base = read_certificate(patch), load_model(patch.parent / "base")
    files = {path.name for path in patch.iterdir()}
    assert set(certificate.files) == files - {FILE}
    assert certificate.files == hashes_of(patch)
    assert tuple(certificate.base.values())[2:] == base.fingerprints


def test_its_numbers_are_those_of_the_written_files_loaded_again(patch):
    certificate, inputs = read_certificate(patch), read_inputs(patch)
    model = load_model(patch.parent / "base")
    before = read(model, certificate.edits, inputs.keep, inputs.text)
    with changed_model(model, patch) as changed:
        found = consequences(before, read(changed.model, certificate.edits, inputs.keep, inputs.text))
        weights = model.adapter.weight(0).clone()
    means = certificate.measured.means
    assert means["efficacy_after"] == found.efficacy.after
    assert means["kept_loss"] == found.loss
    assert means["kept_worst_loss"].value == found.worst
    assert means["log_perplexity_change"] == found.log_perplexity.change
    grown = means[f"weight_growth {model.adapter.layer_name(0)}.weight"]
    unedited = model.adapter.weight(0)
    assert grown.value == pytest.approx(float((weights - unedited).double().norm() / unedited.double().norm()))
    assert [of["case_id"] for of in certificate.measured.worst] == [of.fact.case_id for of in found.kept[:10]]


def test_folders_without_a_certificate_and_damaged_ones_are_refused(patch, tmp_path):
    with refused(InputError, what=str(tmp_path), got=FILE, expected="the folder of a patch"):
        read_certificate(tmp_path)
    with refused(InputError, what=str(tmp_path), got=INPUTS, expected="the folder of a patch"):
        read_inputs(tmp_path)
    whole = (patch / FILE).read_text(encoding="utf-8")
    for damaged in (
        whole[:-20],
        whole.replace('"n": ', '"n": 1'),
        "[]",
        whole.replace("certificate/1", "certificate/9"),
    ):
        (tmp_path / FILE).write_text(damaged, encoding="utf-8")
        with pytest.raises(ProvenanceError, match="certify the patch anew"):
            read_certificate(tmp_path)
