"""Archives that are damaged or made to harm: refused by what they declare, before anything of them is read or run."""

import io
import zipfile

import numpy as np
import pytest
from errors import refused
from hypothesis import given, settings
from hypothesis import strategies as st
from peer_files import D_KEY, model, sums, write

import ks_core as ks
from ks_core.errors import InputError, KsError
from ks_core.measurement.moments.peers.files import read_sums


@pytest.fixture(scope="module")
def loaded():
    return model()


class Bomb:
    """Whoever unpickles it, fails the test."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was run",)


@pytest.mark.parametrize("array", ["mom2__mom2", "mom2__count", "sample_size"])
def test_objects_are_refused_and_not_run(loaded, tmp_path, array):
    path = write(tmp_path, **{array: np.array([Bomb()], dtype=object)})
    with refused(InputError, what="holds Python objects", expected="plain numbers"):
        ks.import_moments(path, loaded)


@pytest.mark.parametrize("kept", [0, 10, 500, -30, -1])
def test_a_truncated_file_is_refused(loaded, tmp_path, kept):
    path = write(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    with refused(InputError, what="cannot be read", expected="a statistics file", remedy="fetch it again"):
        ks.import_moments(path, loaded)


def test_a_flipped_bit_is_refused(loaded, tmp_path):
    path = write(tmp_path)
    whole = bytearray(path.read_bytes())
    inside = whole.index(sums()["mom2.mom2"].tobytes()[:64]) + 50
    whole[inside] ^= 1
    path.write_bytes(bytes(whole))
    with refused(InputError, what="cannot be read", got="CRC", expected="a statistics file"):
        ks.import_moments(path, loaded)


def _members(arrays):
    """A file's members as bytes, by name."""
    members = {}
    for name, array in arrays.items():
        stream = io.BytesIO()
        np.lib.format.write_array(stream, np.asarray(array))
        members[f"{name}.npy"] = stream.getvalue()
    return members


def _zipped(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)


@pytest.mark.parametrize("name", ["../up.npy", "/root.npy", "a/b.npy", "a\\b.npy", "C:x.npy", ".npy", "run.py"])
def test_members_with_odd_paths_are_refused(loaded, tmp_path, name):
    path = write(tmp_path)
    _zipped(path, [*_members(sums()).items(), (name, b"x")])
    with refused(InputError, what="has the member", expected="arrays without folders"):
        ks.import_moments(path, loaded)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(loaded, tmp_path):
    path, members = write(tmp_path), _members(sums())
    _zipped(path, [*members.items(), ("mom2.mom2.npy", members["mom2.mom2.npy"])])
    with refused(InputError, what="mom2.mom2.npy", got="twice", expected="every array once"):
        ks.import_moments(path, loaded)


def test_too_many_members_are_refused(loaded, tmp_path):
    path = write(tmp_path)
    _zipped(path, [*_members(sums()).items(), *((f"x{n}.npy", b"") for n in range(100))])
    with refused(InputError, what="104 members", expected="at most 64"):
        ks.import_moments(path, loaded)


def _declaring(shape, content=b""):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + content


@pytest.mark.parametrize("shape", [(10**6, 10**6), (2**62, 2**62), (12, 12, 10**9), (D_KEY, D_KEY)])
def test_a_shape_that_its_bytes_do_not_fill_reserves_nothing(loaded, tmp_path, shape):
    path, members = write(tmp_path), _members(sums())
    members["mom2.mom2.npy"] = _declaring(shape, b"\0" * 64)
    _zipped(path, members.items())
    with refused(InputError, what="cannot be read", got="declares", expected="a statistics file"):
        ks.import_moments(path, loaded)


def test_a_packed_bomb_is_refused_by_its_declared_size(loaded, tmp_path):
    path, members = write(tmp_path), _members(sums())
    width = 4096
    members["mom2.mom2.npy"] = _declaring((width, width), bytes(8 * width * width))  # 128 MiB of zeros, packed to 0.1
    _zipped(path, members.items(), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**18
    with refused(InputError, what="keys of width 4096", got="width 12", expected="this model's layer"):
        ks.import_moments(path, loaded)


HEADERS = {
    "a negative length": b"{'descr': '<f8', 'fortran_order': False, 'shape': (-12, 12), }",
    "no dictionary": b"[1, 2, 3]",
    "no header": b"import os",
    "nested without end": b"(" * 5000,
    "unknown dtype": b"{'descr': '<q99', 'fortran_order': False, 'shape': (12, 12), }",
    "a record": b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (12, 12), }",
}


@pytest.mark.parametrize("fault", HEADERS)
def test_a_header_that_is_none_is_refused(loaded, tmp_path, fault):
    path, members = write(tmp_path), _members(sums())
    header = HEADERS[fault] + b"\n"
    body = sums()["mom2.mom2"].astype(float).tobytes()
    members["mom2.mom2.npy"] = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body
    _zipped(path, members.items())
    with refused(InputError, what="mom2_40.npz", expected=()):
        ks.import_moments(path, loaded)


@pytest.mark.parametrize("version", [(2, 0), (3, 0), (9, 9)])
def test_other_versions_of_the_format_are_refused(loaded, tmp_path, version):
    path, members = write(tmp_path), _members(sums())
    content = members["mom2.mom2.npy"]
    members["mom2.mom2.npy"] = content[:6] + bytes(version) + content[8:]
    _zipped(path, members.items())
    with refused(InputError, what="cannot be read", expected="a statistics file"):
        ks.import_moments(path, loaded)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write(tmp_path_factory.mktemp("whole"))


@settings(max_examples=400)
@given(st.data())
def test_a_damaged_file_is_refused_or_gives_its_own_numbers(whole, tmp_path_factory, data):
    content = bytearray(whole.read_bytes())
    places = st.integers(0, len(content) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=4)):
        content[place] = byte
    path = tmp_path_factory.getbasetemp() / whole.name
    path.write_bytes(bytes(content[: data.draw(st.just(len(content)) | places)]))
    try:
        found = read_sums(path, D_KEY, 0)
    except KsError:
        return
    # what was damaged is nothing that is read, such as a date
    assert found.sha256 == read_sums(whole, D_KEY, 0).sha256
