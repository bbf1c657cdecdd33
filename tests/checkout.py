"""Where the repository lies: what no wheel has (most trained models, sources of the facts, scripts) is taken from there."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
MODELS = FIXTURES / "models"
TOOLS = ROOT / "tools"
