"""What is shown and stored: results, baselines, tables, figures, and the session of a run."""
