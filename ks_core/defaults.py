"""What is measured where nothing else is asked for: each default stands here once, and whoever has it imports it."""

MODEL = "smollm2-135m-instruct"
"""name of the packaged model"""

CORPUS = "wikipedia-introductions"
"""name of the packaged text"""

TOKENS = 131_072
"""tokens of text for the second moments"""

LONGEST_TEXT = 1024
"""tokens after which a text is cut (paper: GPT-2's context)"""

BATCH_TOKENS = 2048
"""rows × longest row of a forward pass over text"""

NUM_FACTS = 128
"""known facts that are measured (paper: m = 128)"""

NUM_EDITS = 32
"""facts that are edited one after another"""

INSERTIONS = 256
"""edits of the capacity's stream in the model of the run: a sixth of the dimensions of SmolLM2-135M's keys"""

RESAMPLES = 400
"""bootstrap samples of the facts"""

DEVICE = "cpu"
DTYPE = "float32"
"""of the forward passes; the mathematics is float64"""

ALL_PARTS = ("pairs", "stream", "dose", "sizes", "lifelong", "capacity", "long_dose")
"""what can be measured, in its order; `Part` has those besides the pairs"""

PARTS = ALL_PARTS[:4]
"""what `ks measure` and `pytest -m paper` measure; the others take many minutes"""
