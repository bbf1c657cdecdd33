"""The command `ks`, a file for each of its commands."""

from ks_core.cli.main import main as main
