"""What someone did to a model, whoever it was: two checkpoints compared, tensor by tensor and fact by fact."""

from ks_core.extras import require

require("models", "ks_core.comparing")
