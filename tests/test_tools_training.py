"""Training small models: rows, tokenizer, a run that is interrupted and goes on, and what is written beside a model."""

import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from errors import says
from safetensors.torch import load_file
from train_families import main
from training.architectures import CONTEXT, FAMILIES, config_of, new_model
from training.family import Course, Member
from training.mixture import rows
from training.train import CHECKPOINT_EVERY, ROWS_PER_STEP, Recipe, mean_loss, train
from training_inputs import FACTS, TEXTS

from ks_core.data.corpus import corpus_of
from ks_core.errors import InputError, ProvenanceError
from ks_core.files import sha256_of
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loading import load_model
from ks_core.models.size import parameters_outside_embedding


@pytest.fixture(scope="module")
def course():
    return Course(corpus_of(TEXTS, "words"), FACTS)


@pytest.fixture
def tokenizer(course):
    return course.tokenizer


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 6])
def test_parameters_outside_the_embedding_follow_one_rule(family, depth):
    """12 width² a layer, whatever the architecture; biases and norms are the rest."""
    model = new_model(config_of(family, depth, 300), seed=0)
    width = 28 * depth
    matrices = 12 * width**2 * depth
    found = parameters_outside_embedding(model)
    assert abs(found - matrices) <= (16 * width + 2 * width) * depth + 2 * width  # Llama rounds 8/3 of the width
    embeddings = 300 * width + (CONTEXT * width if family == "gpt2" else 0)
    assert sum(parameter.numel() for parameter in model.parameters()) == found + embeddings


def test_untied_output_heads_are_no_part_of_the_size():
    tied, untied = config_of("llama", 2, 300), config_of("llama", 2, 300)
    untied.tie_word_embeddings = False
    assert parameters_outside_embedding(new_model(tied, 0)) == parameters_outside_embedding(new_model(untied, 0))


def test_new_models_depend_on_their_seed_alone_and_leave_the_random_state():
    before = torch.get_rng_state()
    first, again, other = (weights_sha256(new_model(config_of("gpt2", 1, 300), seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("family", "depth", "message"), [("bert", 2, "family is 'bert'"), ("gpt2", 0, "depth is 0")])
def test_what_cannot_be_built_is_refused(family, depth, message):
    with pytest.raises(InputError, match=message):
        config_of(family, depth, 300)


def drawn_for(tokenizer, steps):
    return rows(TEXTS, (), tokenizer, count=steps * ROWS_PER_STEP, length=32, seed=0)


def test_training_learns(tokenizer, tmp_path):
    drawn = drawn_for(tokenizer, 60)
    model = new_model(config_of("gpt2", 1, tokenizer.get_vocab_size()), seed=0)
    before, _ = mean_loss(model, drawn)
    train(model, drawn, Recipe(), tmp_path, name="test")
    assert before == pytest.approx(np.log(tokenizer.get_vocab_size()), abs=0.5)
    assert mean_loss(model, drawn)[0] < 0.6 * before


@pytest.mark.parametrize("family", FAMILIES)
def test_an_interrupted_training_goes_on_to_the_same_bits(family, tokenizer, tmp_path):
    drawn = drawn_for(tokenizer, CHECKPOINT_EVERY + 20)

    def trained(stop_at=None):
        model = new_model(config_of(family, 1, tokenizer.get_vocab_size()), seed=0)
        calls = 0

        def interrupt(*_):
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise KeyboardInterrupt

        model.register_forward_pre_hook(interrupt)
        train(model, drawn, Recipe(), tmp_path, name="test")
        return weights_sha256(model), calls

    with pytest.raises(KeyboardInterrupt):
        trained(stop_at=CHECKPOINT_EVERY + 10)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    resumed, steps = trained()
    assert steps == 20, "it began anew"
    assert not list(tmp_path.iterdir()), "a finished run leaves no checkpoint"
    assert trained() == (resumed, CHECKPOINT_EVERY + 20)


def steps_until(stop_at, drawn, folder, *, recipe=None, seed=0):
    """Train, with an interrupt at a step if one is wanted; how many steps were begun."""
    vocabulary = int(drawn.max()) + 1
    model = new_model(config_of("gpt2", 1, vocabulary), seed)
    begun = []

    def count(*_):
        begun.append(1)
        if len(begun) == stop_at:
            raise KeyboardInterrupt

    model.register_forward_pre_hook(count)
    with pytest.raises(KeyboardInterrupt) if stop_at else nullcontext():
        train(model, drawn, recipe or Recipe(), folder, name="test")
    return len(begun)


@pytest.mark.parametrize("other", ["recipe", "seed", "rows"])
def test_another_run_does_not_take_a_checkpoint_for_its_own(other, tokenizer, tmp_path):
    drawn = drawn_for(tokenizer, CHECKPOINT_EVERY + 1)
    steps_until(CHECKPOINT_EVERY + 1, drawn, tmp_path)
    assert list(tmp_path.iterdir())
    rows_of_it = drawn[::-1].copy() if other == "rows" else drawn
    changed = {"recipe": {"recipe": Recipe(weight_decay=0.2)}, "seed": {"seed": 1}, "rows": {}}[other]
    assert steps_until(None, rows_of_it, tmp_path, **changed) == CHECKPOINT_EVERY + 1
    assert steps_until(None, drawn, tmp_path) == 1, "its own run goes on"


def test_a_damaged_checkpoint_is_refused(tokenizer, tmp_path):
    drawn = drawn_for(tokenizer, CHECKPOINT_EVERY + 1)
    steps_until(CHECKPOINT_EVERY + 1, drawn, tmp_path)
    (checkpoint,) = tmp_path.iterdir()
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ProvenanceError, match="damaged"):
        steps_until(None, drawn, tmp_path)


def test_every_position_that_a_model_has_is_trained(tokenizer, tmp_path):
    model = new_model(config_of("gpt2", 1, tokenizer.get_vocab_size()), seed=0)
    before = model.transformer.wpe.weight.detach().clone()
    drawn = rows(TEXTS, (), tokenizer, count=ROWS_PER_STEP, length=CONTEXT + 1, seed=0)
    train(model, drawn, Recipe(weight_decay=0.0), tmp_path, name="test")
    assert ((model.transformer.wpe.weight - before).abs().amax(dim=1) > 0).all()


def test_learning_rate_rises_to_its_peak_and_falls_to_a_tenth():
    recipe = Recipe()
    rates = [recipe.rate(step, 1000, 56) for step in range(1000)]
    peak = rates.index(max(rates))
    assert peak == 49
    assert rates[peak] == pytest.approx(0.3 / 56, rel=1e-12)
    assert np.all(np.diff(rates[:50]) > 0)
    assert np.all(np.diff(rates[50:]) < 0)
    assert rates[-1] == pytest.approx(0.1 * max(rates), rel=1e-12)


def test_a_made_model_lies_in_float16_with_its_record_and_card_and_is_left_alone_afterwards(
    course, tmp_path, monkeypatch
):
    monkeypatch.setenv("KS_CORE_CACHE", str(tmp_path / "cache"))
    folder = course.make(Member("llama", 2, seed=3), tmp_path, tokens=20_000, device="cpu")
    assert folder.name == "ks-llama-l2-s3"
    assert {tensor.dtype for tensor in load_file(folder / "model.safetensors").values()} == {torch.float16}
    record = json.loads((folder / "training.json").read_text())
    assert record["weights_file_sha256"] == sha256_of(folder / "model.safetensors")
    assert record["tokens"] == 19 * 1024  # whole steps
    loaded = load_model(folder)
    assert record["parameters_outside_embedding"] == parameters_outside_embedding(loaded.model)
    assert loaded.tokenizer("Paris lies")["input_ids"] == course.tokenizer.encode("Paris lies").ids
    assert record["known"]["of_facts"] == 2
    assert record["known"]["of_new_wordings"] == 2
    text = (folder / "README.md").read_text()
    for said in (
        "not a model of",
        record["weights_file_sha256"],
        f"--seed 3 --tokens {record['tokens']} --corpus words --facts two",
    ):
        assert said in text
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert course.make(Member("llama", 2, seed=3), tmp_path, tokens=20_000, device="cpu") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    assert not list((tmp_path / "cache" / "training").glob("*")), "a finished run leaves no checkpoint"
    with pytest.raises(ProvenanceError, match="trained with other tokens"):
        course.make(Member("llama", 2, seed=3), tmp_path, tokens=40_000, device="cpu")


@pytest.mark.parametrize(
    ("member", "tokens", "device", "message"),
    [
        (Member("gpt2", 1), 1023, "cpu", "tokens is 1,023"),
        (Member("gpt2", 1), -5, "cpu", "tokens is -5"),
        (Member("gpt2", 1, seed=-1), 5000, "cpu", "seed is -1"),
        (
            Member("gpt2", 1, seed=2**70),
            5000,
            "cpu",
            "seed is 1180591620717411303424; expected 0 to",
        ),
        (Member("gpt2", 1), 5000, "nowhere", "device 'nowhere' cannot be used"),
        (Member("gpt2", 0), 5000, "cpu", "depth is 0"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    course, member, tokens, device, message, tmp_path
):
    with pytest.raises(InputError, match=message):
        course.make(member, tmp_path / "out", tokens=tokens, device=device)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_one_line_before_any_work(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "text.txt").write_text("\n\n".join(TEXTS))
    options = ["--corpus", str(tmp_path / "text.txt"), "--family", "gpt2", "--depth", "1", "--tokens", "5000"]
    assert main([str(tmp_path / "file" / "out"), *options]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_corpus_that_is_not_there_is_one_line_and_status_2(tmp_path, capsys):
    assert main([str(tmp_path / "out"), "--corpus", "nowhere.txt"]) == 2
    error = capsys.readouterr().err
    says(error, what="train_families: error: ", got="'nowhere.txt' does not exist")
    assert not (tmp_path / "out").exists()
