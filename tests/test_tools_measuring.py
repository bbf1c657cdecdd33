"""Measuring the trained models: what cannot be measured is refused before anything is written."""

import pytest
from checkout import MODELS
from errors import says
from measure_families import main


@pytest.mark.parametrize("name", ["no_such_folder", "."])
def test_a_folder_without_models_of_other_seeds_is_refused(name, tmp_path, capsys):
    before = (MODELS / "seeds.json").read_bytes()
    assert main(["seeds", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    says(said, what="measure_families: error: ", got="ks-*-sSEED", expected="train_families.py")
    assert (MODELS / "seeds.json").read_bytes() == before
