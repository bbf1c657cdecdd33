"""Names of other projects' statistics files: read in every spelling, and written as they look for them."""

import pytest
from errors import refused
from hypothesis import given
from hypothesis import strategies as st

from ks_core.errors import InputError
from ks_core.measurement.moments.peers.names import PRECISIONS, PeerName, model_folder, parsed, spellings

MODULES = (
    "transformer.h.17.mlp.c_proj",
    "transformer.h.3.mlp.fc_out",
    "transformer.h.3.attn.out_proj",
    "model.layers.5.mlp.down_proj",
    "gpt_neox.layers.0.mlp.dense_4h_to_h",
    "model.decoder.layers.1.fc2",
)

NUMBERS = st.integers(1, 10**12)


@given(st.sampled_from(MODULES), st.sampled_from(PRECISIONS), st.none() | NUMBERS,
       st.none() | st.just("literal") | NUMBERS)  # fmt: skip
def test_a_name_that_is_written_is_read_back(module, precision, samples, batch):
    name = PeerName(module, precision, samples, batch)
    assert parsed(str(name)) == name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("transformer.h.17.mlp.c_proj_float32_mom2_100000.npz", PeerName(MODULES[0], "float32", 100_000)),
        ("transformer.h.17.mlp.c_proj_float32_mom2.npz", PeerName(MODULES[0], "float32")),
        ("transformer.h.17.mlp.c_proj_float32_mom2_t{batch_tokens}_100000.npz",
         PeerName(MODULES[0], "float32", 100_000, "literal")),
        ("transformer.h.17.mlp.c_proj_float64_mom2_t2048_100000.npz", PeerName(MODULES[0], "float64", 100_000, 2048)),
        ("transformer.h.17.mlp.c_proj_float32_mom2_t2048.npz", PeerName(MODULES[0], "float32", None, 2048)),
        ("gpt_neox.layers.0.mlp.dense_4h_to_h_float16_mean-mom2-norm_mean_5.npz", PeerName(MODULES[4], "float16", 5)),
    ],
)  # fmt: skip
def test_names_as_they_are_found(name, expected):
    assert parsed(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "transformer.h.17.mlp.c_proj_float32_mean_100000.npz",
        "transformer.h.17.mlp.c_proj_float32_mom2_100000.npy",
        "transformer.h.17.mlp.c_proj_bfloat16_mom2_100000.npz",
        "transformer.h.17.mlp.c_proj_float32_mom2_-5.npz",
        "transformer.h.17.mlp.c_proj_float32_mom2_١٢.npz5",
        "_float32_mom2_5.npz",
        "null_space_project.pt",
    ],
)
def test_other_names_are_none_of_theirs(name):
    assert parsed(name) is None


def test_a_models_folder_has_both_spellings():
    assert model_folder("EleutherAI/gpt-j-6B", "kis") == "EleutherAI_gpt-j-6B"
    assert model_folder("EleutherAI/gpt-j-6B", "anyedit") == "gpt-j-6B"
    assert model_folder("gpt2-xl", "rome") == model_folder("gpt2-xl", "alphaedit") == "gpt2-xl"
    assert spellings("EleutherAI/gpt-j-6B") == ("EleutherAI_gpt-j-6B", "gpt-j-6B")
    assert spellings("gpt2-xl") == ("gpt2-xl",)


@pytest.mark.parametrize("name", ["..", "models/", "a/..", "a\\b", "a/ "])
def test_a_name_that_leads_elsewhere_makes_no_folder(name):
    with refused(InputError, what="model_name", expected="one without separators"):
        model_folder(name, "alphaedit")


@pytest.mark.parametrize("layout", ["mend", "ROME", ""])
def test_an_unknown_project_is_refused(layout):
    with refused(InputError, what="layout", got=repr(layout), expected="rome, memit, pmet, kis, alphaedit, easyedit"):
        model_folder("gpt2", layout)
