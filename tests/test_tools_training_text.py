"""What small models are trained on: statements, the split, the tokenizer, and rows that begin with documents."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training.mixture import FACT_SHARE, rows, split
from training.tokenizer import END_OF_TEXT, VOCABULARY, train_tokenizer
from training_inputs import FACTS, TEXTS

from ks_core.data.corpus import corpus_of
from ks_core.data.statements import statements
from ks_core.errors import InputError


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([*TEXTS, *statements(FACTS)])


def test_statements_say_each_fact_in_each_wording_of_its_relation_and_in_no_paraphrase():
    assert statements(FACTS) == (
        "Paris lies in France.",
        "Paris is in France.",
        "Kyoto lies in Japan.",
        "Kyoto is in Japan.",
    )


def test_split_holds_the_last_texts_of_the_order_back():
    corpus = corpus_of(TEXTS, "words")
    articles = split(corpus)
    assert [*articles.training, *articles.validation] == list(corpus.texts())
    assert len(articles.validation) == 5


def test_tokenizer_has_an_end_of_text_last_and_reads_back_what_it_writes(tokenizer):
    assert tokenizer.token_to_id(END_OF_TEXT) == tokenizer.get_vocab_size() - 1
    for text in ["Paris lies in France.", "naïve café in 東京", " two  spaces\nand a line"]:
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.get_vocab_size() <= VOCABULARY


def test_tokenizer_is_the_same_from_the_same_text():
    assert train_tokenizer(TEXTS).to_str() == train_tokenizer(TEXTS).to_str()


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(2, 64), st.integers(0, 2**31))
def test_rows_begin_with_a_document_and_hold_documents_from_their_start(count, length, seed):
    tokenizer = train_tokenizer(TEXTS)
    documents = [*TEXTS, *statements(FACTS)]
    end = tokenizer.get_vocab_size() - 1
    known = [[*encoding.ids, end] for encoding in tokenizer.encode_batch(documents)]
    found = rows(TEXTS, statements(FACTS), tokenizer, count=count, length=length, seed=seed)
    assert found.shape == (count, length)
    for row in found.tolist():
        pieces, start = [], 0
        for place, token in enumerate(row):
            if token == end or place == length - 1:
                pieces.append(row[start : place + 1])
                start = place + 1
        assert all(any(document[: len(piece)] == piece for document in known) for piece in pieces)


def test_rows_keep_the_share_of_facts_and_read_everything_in_turn(tokenizer):
    end = tokenizer.get_vocab_size() - 1
    found = rows(TEXTS, statements(FACTS), tokenizer, count=400, length=256, seed=0)
    facts = [tuple(tokenizer.encode(text).ids) for text in statements(FACTS)]
    counts = dict.fromkeys(facts, 0)
    of_facts = 0
    for row in found.tolist():
        start = 0
        for place, token in enumerate(row):
            if token == end:
                document = tuple(row[start:place])
                if document in counts:
                    of_facts += len(document) + 1
                    counts[document] += 1
                start = place + 1
    assert of_facts / found.size == pytest.approx(FACT_SHARE, abs=0.02)  # a statement that a row cuts is not seen
    read = [counts[fact] for fact in facts]
    assert max(read) - min(read) <= 0.05 * max(read)  # in turn, but for those that a row's end cut


def test_rows_are_the_same_for_the_same_seed_and_others_for_another(tokenizer):
    drawn = [rows(TEXTS, statements(FACTS), tokenizer, count=80, length=64, seed=seed) for seed in (1, 1, 2)]
    assert (drawn[0] == drawn[1]).all()
    assert (drawn[0] != drawn[2]).any()


def test_a_corpus_of_one_text_cannot_be_split():
    with pytest.raises(InputError, match="corpus one has one text"):
        split(corpus_of(["a text"], "one"))
