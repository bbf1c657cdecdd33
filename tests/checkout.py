"""Where the repository lies: from there comes what no wheel has (most trained models, sources of facts, scripts)."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = ROOT / "fixtures"
MODELS = FIXTURES / "models"
TOOLS = ROOT / "tools"
