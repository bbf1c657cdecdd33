"""Text streamed through `datasets`, from a local folder in the layout of a hub dataset."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from errors import refused

from ks_core.data.corpus import load_corpus
from ks_core.data.hub import HubDataset
from ks_core.errors import InputError, MissingExtraError

TEXTS = [f"text number {number}" for number in range(40)]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    pytest.importorskip("datasets", reason="the optional dependency ks_core[hub] is not installed: streaming unchecked")
    folder = tmp_path / "dataset"
    write(folder, [{"text": text} for text in [*TEXTS, " "]])
    return folder


def write(folder: Path, rows: list[dict[str, object]]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hub:wikimedia/wikipedia:20231101.en:train", ("wikimedia/wikipedia", None, "20231101.en", "train")),
        ("hub:owner/name@v1:config:test", ("owner/name", "v1", "config", "test")),
        ("hub:C:/data/set::train", ("C:/data/set", None, None, "train")),
    ],
)
def test_hub_specification_is_taken_apart(spec, expected):
    got = HubDataset.parse(spec)
    assert (got.dataset, got.revision, got.config, got.split) == expected


@pytest.mark.parametrize(
    "spec", ["hub:", "hub:name", "hub:name:split", "hub::config:split", "hub:name:config:", "hub:name::train[:10%]"]
)
def test_hub_specification_of_another_form_is_refused(spec):
    with pytest.raises(InputError, match="is not of the form hub:dataset:config:split"):
        load_corpus(spec)


def test_stream_gives_every_text_in_a_shuffled_order_that_the_seed_fixes(dataset):
    spec = f"hub:{dataset}::train"
    corpus, other = load_corpus(spec, seed=0), load_corpus(spec, seed=1)
    texts = list(corpus.texts())
    assert sorted(texts) == sorted(TEXTS)
    assert texts != TEXTS
    assert list(corpus.texts()) == texts == list(load_corpus(spec, seed=0).texts())
    assert list(other.texts()) != texts
    assert corpus.sha256 != other.sha256


def test_stream_records_a_revision_that_changes_with_the_data(dataset):
    spec = f"hub:{dataset}::train"
    before = load_corpus(spec)
    assert load_corpus(spec) == before
    write(dataset, [{"text": text} for text in TEXTS[:-1]])
    after = load_corpus(spec)
    assert before.revision
    assert before.revision != after.revision
    assert before.sha256 != after.sha256


def test_stream_of_an_unknown_split_or_config_is_refused(dataset):
    for spec in (f"hub:{dataset}::validation", f"hub:{dataset}:nonesuch:train"):
        with refused(InputError, what=str(dataset), remedy=("check", "config", "split")):
            load_corpus(spec)


def test_stream_without_a_text_column_is_refused_with_its_columns(dataset):
    write(dataset, [{"body": "x", "id": 1}])
    with pytest.raises(InputError, match=r"has no column 'text', only \['body', 'id'\]"):
        load_corpus(f"hub:{dataset}::train")


def test_stream_of_values_that_are_not_texts_is_refused(dataset):
    write(dataset, [{"text": 5}])
    with pytest.raises(InputError, match=r"row 0 of the stream: text is 5; expected a text"):
        load_corpus(f"hub:{dataset}::train")


def test_stream_without_any_text_is_refused(dataset):
    write(dataset, [{"text": " "}])
    with pytest.raises(InputError, match="holds no text"):
        load_corpus(f"hub:{dataset}::train")


def test_missing_optional_dependency_is_named_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "datasets", None)  # what an absent package looks like to `import`
    with pytest.raises(MissingExtraError, match=r'needs datasets, .*pip install "ks_core\[hub\]"'):
        load_corpus(f"hub:{tmp_path}::train")
