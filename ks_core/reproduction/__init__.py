"""From a measurement to verdicts: what is measured, how a claim is judged, baselines, the report and its figures."""
