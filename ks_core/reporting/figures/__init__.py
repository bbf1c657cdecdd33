"""The figures, and how figures become PNG files."""
