"""Where everything is cached, by the environment, and what is said where that is no folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ks_core.errors import InputError
from ks_core.files import cache_dir


def test_cache_dir_prefers_its_own_variable_then_xdg_then_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("KS_CORE_CACHE", "~/own")
    assert cache_dir() == Path("/home/someone/own")
    monkeypatch.delenv("KS_CORE_CACHE")
    assert cache_dir() == Path("/xdg/ks_core")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path("/home/someone/.cache/ks_core")


def test_cache_dir_takes_an_empty_variable_as_not_set_and_relative_paths_from_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("KS_CORE_CACHE", "")
    assert cache_dir() == Path("/home/someone/.cache/ks_core")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_dir() == Path("/home/someone/.cache/ks_core"), "as the specification of the variable asks"
    monkeypatch.setenv("KS_CORE_CACHE", "own")
    assert cache_dir() == tmp_path / "own"


@pytest.mark.parametrize("cache", ["file", "/dev/null", "~no_such_user_at_all/cache"])
def test_cache_dir_refuses_what_is_no_folder(monkeypatch, tmp_path, cache):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    monkeypatch.setenv("KS_CORE_CACHE", cache)
    with pytest.raises(InputError, match=r"set \$KS_CORE_CACHE"):
        cache_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can be a user whom no one knows")
def test_cache_dir_without_a_home_is_one_clear_error():
    code = (
        "import os; from ks_core.files import cache_dir\n"
        "os.setresuid(54321, 0, 0)  # may still read the packages\n"
        "try:\n    cache_dir()\nexcept ValueError as error:\n    print(error)"
    )
    known = {
        name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "KS_CORE_CACHE")
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=known, check=True)
    assert done.stdout.startswith("no folder for the cache: ")
    assert "set $KS_CORE_CACHE to one" in done.stdout
