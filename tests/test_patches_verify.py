"""`ks verify` on real folders: what holds, and every way in which it does not."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from certified import certified, resealed
from checkout import MODELS
from errors import refused, says
from safetensors.torch import load_file, save_file
from tiny_models import save_tiny_checkpoint

from ks_core.cli import main
from ks_core.data.facts import packaged_facts
from ks_core.errors import InputError
from ks_core.measurement.consequences import read
from ks_core.models.loading import load_model
from ks_core.patches.certificate import FILE, INPUTS, read_certificate, read_inputs
from ks_core.patches.tolerances import Tolerance, tolerances, unit_roundoff
from ks_core.patches.verification import Check, certify, verify
from ks_core.statistics.means import Mean

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return certified(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def patch(whole, tmp_path):
    """A copy that a test may break."""
    return shutil.copytree(whole, tmp_path / "patch")


def names(verification):
    return [check.name for check in verification.failed]


def test_what_was_certified_holds(whole, capsys):
    found = verify(whole)
    assert found.failed == ()
    assert found.measured
    assert main(["verify", str(whole)]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("\nholds\n")
    assert "predicted before it was written: kept_loss 0.050 ± 0.010" in printed


@pytest.mark.parametrize("threads", [1, 2])
def test_it_holds_with_other_threads_and_a_finer_dtype(whole, threads):
    there = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert verify(whole, dtype="float64").failed == ()
    finally:
        torch.set_num_threads(there)


def test_a_model_in_memory_is_its_base_and_stays_as_it_is(whole):
    model = load_model(whole.parent / "base")
    before = model.fingerprints
    assert verify(whole, model).failed == ()
    assert model.fingerprints == before
    with refused(InputError, what="dtype was given with a model that is loaded already", remedy="leave it out"):
        verify(whole, model, dtype="float64")


def test_what_was_certified_in_half_precision_holds_there_and_in_a_finer_dtype(patch, whole):
    certificate, inputs = read_certificate(patch), read_inputs(patch)
    for name in (FILE, INPUTS):
        (patch / name).unlink()
    model = load_model(whole.parent / "base", dtype="bfloat16")
    certify(patch, model, certificate.edits, inputs, certificate.made)
    assert verify(patch).failed == ()
    found = verify(patch, dtype="float32")
    assert found.failed == ()
    assert any(check.is_number and check.certified != check.found for check in found.checks), "they were measured anew"


def test_a_folder_needs_nothing_but_its_base(patch, whole, tmp_path, monkeypatch):
    base = shutil.copytree(whole.parent / "base", tmp_path / "elsewhere")
    resealed(patch, lambda content: content["base"].update(name=str(tmp_path / "gone")))
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "patch", "--model", str(base)]) == 0


@pytest.mark.parametrize("name", [WEIGHTS, "adapter_config.json", INPUTS])
def test_a_file_that_changed_or_is_gone_is_named(patch, capsys, name):
    path = patch / name
    path.write_bytes(path.read_bytes() + b" ")
    assert names(verify(patch)) == [f"file {name}"]
    path.unlink()
    assert main(["verify", str(patch)]) == 1
    printed = capsys.readouterr().out
    assert f"file {name}: missing" in printed
    assert "nothing was measured" in printed


@pytest.mark.parametrize(
    "name",
    ["model.safetensors.index.json", "chat_template.jinja", "code.py", "sub/x.json", "sub/README.md", "notes"],
)
def test_a_file_that_was_added_is_named(patch, capsys, name):
    (patch / name).parent.mkdir(exist_ok=True)
    (patch / name).write_text("{}")
    assert names(verify(patch)) == [f"file {name}"]
    assert main(["verify", str(patch)]) == 1
    assert f"file {name}: was added since" in capsys.readouterr().out


def test_a_link_that_was_added_is_named(patch, tmp_path):
    """To a folder with files, and to nothing."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "adapter_config.json").write_text("{}")
    (patch / "second").symlink_to(tmp_path / "elsewhere")
    (patch / "third").symlink_to(tmp_path / "nowhere")
    assert names(verify(patch)) == ["file second", "file third"]


def test_a_model_card_and_what_version_control_keeps_may_be_added(patch, whole):
    resealed(patch, lambda content: content["files"].pop("README.md"))  # as of a folder that PEFT did not write
    (patch / "README.md").unlink()
    for name in ("README.md", ".gitattributes", ".git/config", ".cache/huggingface/x.json"):
        (patch / name).parent.mkdir(parents=True, exist_ok=True)
        (patch / name).write_text("mine")
    (patch / "empty").mkdir()
    found = verify(patch, load_model(whole.parent / "base"))
    assert found.failed == ()
    assert found.measured


def test_a_base_that_changed_since_is_named(patch, whole, tmp_path):
    base = shutil.copytree(whole.parent / "base", tmp_path / "base")
    tensors = load_file(base / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][0, 0] += 1
    save_file(tensors, base / "model.safetensors", {"format": "pt"})
    found = verify(patch, base)
    assert names(found) == ["base weights_sha256"]
    assert not found.measured
    settings = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(settings | {"rms_norm_eps": 1e-3}))
    assert names(verify(patch, base)) == ["base weights_sha256", "base settings_sha256"]


def test_the_adapter_of_another_model_is_told_from_its_base(patch, tmp_path):
    other = save_tiny_checkpoint(tmp_path / "other", "gpt2")
    assert {"base weights_sha256", "base settings_sha256"} <= set(names(verify(patch, other)))


@pytest.mark.parametrize(
    ("name", "by"),
    [("kept_loss", 1e-3), ("log_perplexity_after", -1e-3), ("efficacy_after", 0.25), ("kept_worst_loss", 1)],
)
def test_a_number_that_was_made_better_is_caught(patch, capsys, name, by):
    resealed(
        patch,
        lambda content: content["measured"]["means"][name].update(
            value=content["measured"]["means"][name]["value"] + by
        ),
    )
    assert names(verify(patch)) == [name]
    assert main(["verify", str(patch)]) == 1
    assert f"does not hold: {name}" in capsys.readouterr().out


def test_a_number_that_is_missing_added_or_of_other_facts_is_caught(patch):
    growth = "weight_growth model.layers.0.mlp.down_proj.weight"
    resealed(patch, lambda content: content["measured"]["means"].pop(growth))
    assert names(verify(patch)) == [growth]
    resealed(patch, lambda content: content["measured"]["means"].update(mine={"value": 1, "error": None, "n": 1}))
    assert names(verify(patch)) == ["mine", growth]
    resealed(patch, lambda content: content["measured"]["means"]["kept_loss"].update(n=3))
    assert "kept_loss" in names(verify(patch))


def test_files_outside_the_folder_are_not_looked_at(patch):
    outside = patch.parent / "outside"
    outside.write_text("secret")
    resealed(patch, lambda content: content["files"].update({"../outside": "0" * 64, str(outside): "0" * 64}))
    missing = [check for check in verify(patch).failed if check.found is None]
    assert [check.name for check in missing] == ["file ../outside", f"file {outside}"]


def test_what_cannot_be_verified_is_one_line(patch, tmp_path, capsys):
    assert main(["verify", str(tmp_path)]) == 2
    says(capsys.readouterr().err, what=str(tmp_path), got=FILE, expected="the folder of a patch")
    (tmp_path / "file").touch()
    for place in ("file", "nowhere"):
        assert main(["verify", str(tmp_path / place)]) == 2
        says(capsys.readouterr().err, what=place, got="is no folder", expected="the folder of a patch")
    resealed(patch, lambda content: content["base"].update(name=os.fspath(tmp_path / "no such")))
    assert main(["verify", str(patch)]) == 2
    says(capsys.readouterr().err, what="the base of the patch", remedy="--model")
    (patch / FILE).write_text("{")
    assert main(["verify", str(patch)]) == 2
    says(capsys.readouterr().err, what=FILE, got="damaged", expected="it", remedy="certify the patch anew")


def test_a_check_holds_within_its_tolerance_and_no_further():
    one = Mean(1.0, 0.1, 5)
    for value, count, holds in (
        (1.0, 5, True),
        (1.25, 5, True),
        (1.26, 5, False),
        (1.0, 6, False),
        (float("nan"), 5, False),
    ):
        assert Check("a", one, Mean(value, 0.1, count), Tolerance(0.25)).holds is holds
    assert Check("a", one, Mean(1.0, 0.1, 6), Tolerance(0, count=1)).holds
    nothing = Mean(float("nan"), float("nan"), 0)
    assert Check("a", nothing, nothing).holds
    assert not Check("a", one, None).holds


def test_tolerances_are_as_coarse_as_the_dtype(whole):
    model, inputs = load_model(whole.parent / "base"), read_inputs(whole)
    readings = read(model, read_certificate(whole).edits, inputs.keep, inputs.text)
    fine, coarse = (tolerances(model, unit_roundoff(name), readings, readings) for name in ("float32", "bfloat16"))
    assert fine["kept_loss"].value < 1e-4 < 1e-2 < coarse["kept_loss"].value
    assert coarse["efficacy_after"].value == 1, "with objects that are this close any may change sides"
    assert fine["efficacy_after"].value == 0


@pytest.mark.parametrize("name", ["ks-gpt2-l4", "ks-neox-l4", "ks-llama-l4"])
def test_what_a_dtype_rounds_is_within_its_tolerance_and_not_far_below(name):
    """Another machine is off by no more than the exact numbers are: each prompt of a trained model, on its own."""
    facts = packaged_facts().facts[::40]
    exact = read(load_model(MODELS / name, dtype="float64"), facts, (), ())
    for dtype in ("float32", "bfloat16"):
        model = load_model(MODELS / name, dtype=dtype)
        rounded = read(model, facts, (), ())
        nats = tolerances(model, unit_roundoff(dtype), rounded, rounded)["log_perplexity_after"].value
        off = max(
            np.abs(getattr(one, which) - getattr(other, which)).max()
            for one, other in zip(vars(exact.answers).values(), vars(rounded.answers).values(), strict=True)
            for which in ("new", "true")
        )
        assert nats / 20 < off < nats
