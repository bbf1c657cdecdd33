"""What measurements mean: one file per claim, with its definition, thresholds and judgement."""
