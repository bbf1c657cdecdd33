import pytest

from ks_core import defaults
from ks_core.data.corpus import load_corpus
from ks_core.measurement.moments.collecting import collect_second_moments
from ks_core.models.loading import load_model


@pytest.fixture(scope="session")
def model():
    return load_model(defaults.MODEL)


@pytest.fixture(scope="session")
def moments(model):
    return collect_second_moments(model, load_corpus(defaults.CORPUS), tokens=defaults.TOKENS)
