"""What is shown and kept: results, baselines, tables, figures, and the session of a run."""
