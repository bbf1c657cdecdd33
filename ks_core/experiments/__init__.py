"""What is done to a model: pairs of its facts compared, streams of edits, doses, families of sizes."""

from ks_core.extras import require

require("models", "ks_core.experiments")
