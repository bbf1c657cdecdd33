"""Products of keys have all bits of float32, whatever was allowed for the model, and what was allowed stays so."""

import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from ks_core.measurement.moments import blocks
from ks_core.measurement.moments.accumulator import FlushedAccumulator, SecondMomentAccumulator
from ks_core.measurement.moments.ieee import ieee_products

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="not run: no CUDA device here")
DEVICES = ["cpu", pytest.param("cuda", marks=CUDA)]

TOKENS, D_KEY = 128, 96
"""Tokens enough for a float32 product, and so few that TF32's bits would show: the bound is 128 · 2⁻²⁴ = 8e-6, and
factors rounded to 2⁻¹² move an entry of the diagonal by √(3/128) · 2⁻¹² = 4e-5 typically, the largest by more."""

BOUND = (TOKENS + 2) * 2.0**-24
"""As `SecondMomentAccumulator` says, of √(S_ii S_jj); + 2 for what is left of second order."""

OLD = """
torch.set_float32_matmul_precision('high')
torch.set_float32_matmul_precision('medium')
torch.backends.cuda.matmul.allow_tf32 = True
"""
NEW = """
torch.backends.fp32_precision = 'tf32'
torch.backends.cuda.matmul.fp32_precision = 'tf32'
torch.backends.mkldnn.matmul.fp32_precision = 'bf16'
torch.backends.mkldnn.fp32_precision = 'bf16'
"""
SETTINGS = ["pass", *OLD.split("\n")[1:-1]]
if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
    SETTINGS += NEW.split("\n")[1:-1]

TRY = """
import os, sys
import torch
from ks_core.measurement.moments.ieee import ieee_products

def read(what):
    try:
        return what()
    except (RuntimeError, AttributeError) as error:
        return type(error).__name__

def seen():
    backends = torch.backends
    return [
        read(lambda: backends.cuda.matmul.allow_tf32),
        read(torch.get_float32_matmul_precision),
        read(lambda: backends.cuda.matmul.fp32_precision),
        read(lambda: backends.mkldnn.matmul.fp32_precision),
        read(lambda: backends.fp32_precision),
    ]

def held(setting):
    exec(setting)
    before = seen()
    for end in ("pass", "raise KeyError", "pass"):
        try:
            with ieee_products(torch.device("cuda")):
                inside = seen()
                exec(end)
        except KeyError:
            pass
        assert seen() == before, (setting, end, before, seen())
    assert inside[:2] == [False, "highest"], (setting, inside)
    assert set(inside[2:4]) <= {"none", "ieee", "AttributeError"}, (setting, inside)
    if setting.startswith("torch.backends.fp32"):  # what followed the setting of all follows it still
        torch.backends.fp32_precision = "ieee"
        assert seen()[2:] == ["ieee"] * 3, seen()

for setting in sys.argv[1:]:  # each in a process of its own: what was set the new way cannot always be unset
    if (child := os.fork()) == 0:
        held(setting)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(setting)
"""


def strayed(keys, kind=SecondMomentAccumulator, device="cpu"):
    """The largest difference from float64 throughout, in units of √(S_ii S_jj)."""
    accumulator = kind(keys.shape[1], device)
    accumulator.update(keys.to(device))
    exact = keys.double().T @ keys.double()
    scale = exact.diagonal().sqrt()
    return float(((blocks.symmetric(accumulator.packed()) - exact) / scale[:, None] / scale).abs().max())


@pytest.fixture
def keys():
    return torch.randn(TOKENS, D_KEY, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def tf32_allowed():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


def test_settings_are_float32s_inside_and_the_users_afterwards():
    done = subprocess.run([sys.executable, "-W", "error", "-c", TRY, *SETTINGS], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()) == (0, SETTINGS), done.stderr


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", [SecondMomentAccumulator, FlushedAccumulator])
@pytest.mark.usefixtures("tf32_allowed")
def test_products_are_within_their_bound_where_less_was_allowed(device, kind, keys):
    assert strayed(keys, kind, device) <= BOUND
    with torch.autocast(device, dtype=torch.bfloat16):
        assert strayed(keys, kind, device) <= BOUND
        assert torch.is_autocast_enabled(device)


@pytest.mark.parametrize("device", DEVICES)
def test_planted_fault_products_within_autocast_are_caught(device, keys, monkeypatch):
    monkeypatch.setattr(blocks, "ieee_products", lambda _: nullcontext())
    with torch.autocast(device, dtype=torch.bfloat16):
        assert strayed(keys, SecondMomentAccumulator, device) > BOUND


@CUDA
@pytest.mark.parametrize("kind", [SecondMomentAccumulator, FlushedAccumulator])
@pytest.mark.usefixtures("tf32_allowed")
def test_planted_fault_products_in_tf32_are_caught(kind, keys, monkeypatch):
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("not run: this GPU has no TF32")
    monkeypatch.setattr(blocks, "ieee_products", lambda _: nullcontext())
    assert strayed(keys, kind, "cuda") > BOUND


def assert_that_it_is_off_and_fail():
    assert not torch.is_autocast_enabled("cpu")
    torch.ones(2, 3) @ torch.ones(2, 3)


def test_a_block_that_fails_leaves_autocast_as_it_was():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), ieee_products(torch.device("cpu")):
            assert_that_it_is_off_and_fail()
        assert torch.is_autocast_enabled("cpu")
