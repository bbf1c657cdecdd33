"""Statistics of pair matrices between facts, each with its sampling error. NumPy and SciPy; no models, no files."""
