"""AlphaEdit's projection: written as it would compute it, read with every check."""

import numpy as np
import pytest
import torch
from errors import refused
from peer_files import D_KEY, facts, keys, model, write

import ks_core as ks
from ks_core.errors import InfeasibleEditError, InputError, ProvenanceError
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.peers.projection import export_projection, import_projection
from ks_core.theory.key_spaces import null_space

EPS32 = float(torch.finfo(torch.float32).eps)
CUT = 1.0
"""An eigenvalue, between those of `peer_files.keys`: about 1 for eleven neurons, 100 for one."""


@pytest.fixture(scope="module")
def loaded():
    return model()


@pytest.fixture
def moments(loaded, tmp_path):
    for layer in (0, 1):
        write(tmp_path / "stats", layer)
    return ks.import_moments(tmp_path / "stats", loaded)


def as_alphaedit(layer):
    """What its `get_project` does: a float32 singular value decomposition, cut at an absolute value."""
    rows = keys(layer).astype(np.float32)
    matrix = rows.T @ rows / np.float32(len(rows))
    left, singular, _ = np.linalg.svd(matrix)
    small = left[:, singular < CUT]
    return small @ small.T


@pytest.mark.parametrize("layers", [[0, 1], [1, 0], [1]])
def test_it_is_the_projection_that_alphaedit_computes(loaded, moments, tmp_path, layers):
    path = tmp_path / "null_space_project.pt"
    export_projection(moments, path, loaded, layers, eigenvalue=CUT)
    found = torch.load(path, weights_only=True)
    assert found.dtype == torch.float32
    assert found.shape == (len(layers), D_KEY, D_KEY)
    for place, layer in enumerate(layers):
        want = as_alphaedit(layer)
        assert 0 < round(float(np.trace(want))) < D_KEY - 1
        spectrum = torch.linalg.eigvalsh(moments.at(layer).matrix)
        gap = float((spectrum - CUT).abs().min())
        # Davis and Kahan: a matrix off by float32's rounding turns the space by that over the gap at the cut
        assert np.abs(found[place].numpy() - want).max() <= 2 * D_KEY * EPS32 * float(spectrum[-1]) / gap


def test_what_is_written_is_read_as_the_same_space(loaded, moments, tmp_path):
    path = tmp_path / "P.pt"
    export_projection(moments, path, loaded, [1, 0], eigenvalue=CUT)
    spaces = import_projection(path, loaded, [1, 0], moments=moments)
    asked = subject_keys(loaded, tuple(facts()), [0])[0]
    for layer, space in spaces.items():
        own = null_space(moments.at(layer).matrix, eigenvalue=CUT)
        assert torch.allclose(space.solve(asked), own.solve(asked), rtol=0, atol=10 * EPS32 * float(asked.abs().max()))
        assert abs(space.variance - own.variance) < 1e3 * EPS32  # of entries up to 100
    assert np.isnan(import_projection(path, loaded, [1, 0])[0].variance)


def test_theirs_is_read(loaded, moments, tmp_path):
    torch.save(torch.from_numpy(np.stack([as_alphaedit(0), as_alphaedit(1)])), tmp_path / "P.pt")
    spaces = import_projection(tmp_path / "P.pt", loaded, (0, 1))
    assert {layer: len(space.basis) for layer, space in spaces.items()} == {
        layer: round(float(np.trace(as_alphaedit(layer)))) for layer in (0, 1)
    }
    assert moments.complete


def test_its_cut_is_alphaedits_own_unless_told(loaded, moments, tmp_path):
    with refused(InfeasibleEditError, what="layer 0", expected="less than 0.02"):
        export_projection(moments, tmp_path / "P.pt", loaded, [0])
    assert not (tmp_path / "P.pt").exists()


def test_a_file_that_is_there_stays_unless_told(loaded, moments, tmp_path):
    path = tmp_path / "P.pt"
    path.write_bytes(b"old")
    with refused(InputError, what="is there", expected="no such file"):
        export_projection(moments, path, loaded, [0], eigenvalue=CUT)
    assert path.read_bytes() == b"old"
    export_projection(moments, path, loaded, [0], eigenvalue=CUT, replace=True)
    assert len(import_projection(path, loaded, [0])) == 1
    [stats] = [moments.files[0]]
    with refused(InputError, what="is read as the second moments"):
        export_projection(moments, stats, loaded, [0], eigenvalue=CUT, replace=True)


@pytest.mark.parametrize("layers", [[], [0, 0], [5], "0", [0.5]])
def test_layers_of_no_use_are_refused(loaded, moments, tmp_path, layers):
    with pytest.raises(InputError, match="layer"):
        export_projection(moments, tmp_path / "P.pt", loaded, layers, eigenvalue=CUT)


def test_another_model_is_refused(moments, tmp_path):
    other = model()
    with torch.no_grad():
        other.adapter.weight(0)[0, 0] += 1
    with pytest.raises(ProvenanceError):
        export_projection(moments, tmp_path / "P.pt", other, [0], eigenvalue=CUT)


class Bomb:
    """Whoever unpickles it, fails the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


def _one(change):
    projection = torch.from_numpy(as_alphaedit(0)).clone()
    change(projection)
    return projection[None]


WRONG = {
    "an object": (lambda: Bomb(), "cannot be read as tensors alone"),
    "a dictionary": (lambda: {"P": torch.eye(D_KEY)[None]}, "holds dict"),
    "a list": (lambda: [torch.eye(D_KEY)], "holds list"),
    "whole numbers": (lambda: torch.eye(D_KEY, dtype=torch.int64)[None], "holds torch.int64"),
    "half precision": (lambda: torch.eye(D_KEY, dtype=torch.float16)[None], "holds torch.float16"),
    "sparse": (lambda: torch.eye(D_KEY)[None].to_sparse(), "torch.sparse_coo"),
    "one matrix": (lambda: torch.eye(D_KEY), "has the shape (12, 12)"),
    "two layers": (lambda: torch.eye(D_KEY).repeat(2, 1, 1), "has the shape (2, 12, 12)"),
    "another width": (lambda: torch.eye(8)[None], "has the shape (1, 8, 8)"),
    "a huge shape on one number": (lambda: torch.zeros(1).expand(10**5, 10**5, 10**5), "has the shape (100000, "),
    "NaN": (lambda: _one(lambda of: of.fill_diagonal_(torch.nan)), "is not finite"),
    "infinite": (lambda: _one(lambda of: of.fill_diagonal_(torch.inf)), "is not finite"),
    "asymmetric": (lambda: _one(lambda of: of[0, 1:2].add_(1e-3)), "is not symmetric"),
    "half of one": (lambda: _one(lambda of: of.mul_(0.5)), "P P is not P"),
    "a little off": (lambda: _one(lambda of: of.mul_(1 + 1e-4)), "P P is not P"),
    "the second moment itself": (
        lambda: torch.from_numpy(keys().T @ keys() / len(keys()))[None].float(),
        "P P is not P",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_is_no_projection_is_refused(loaded, tmp_path, fault):
    made, said = WRONG[fault]
    torch.save(made(), tmp_path / "P.pt")
    with refused(InputError, what="P.pt", got=said, expected=()):
        import_projection(tmp_path / "P.pt", loaded, [0])


def test_a_projection_onto_nothing_is_refused(loaded, tmp_path):
    torch.save(torch.zeros(1, D_KEY, D_KEY), tmp_path / "P.pt")
    with refused(InfeasibleEditError, what="layer 0", got="is zero", expected="some directions"):
        import_projection(tmp_path / "P.pt", loaded, [0])


@pytest.mark.parametrize("content", [b"", b"not a file of torch", b"PK\x03\x04" + bytes(60)])
def test_a_damaged_file_is_refused(loaded, tmp_path, content):
    (tmp_path / "P.pt").write_bytes(content)
    with refused(InputError, what="cannot be read", expected="a tensor"):
        import_projection(tmp_path / "P.pt", loaded, [0])
    with refused(InputError, what="does not exist", expected="a tensor"):
        import_projection(tmp_path / "none.pt", loaded, [0])
