"""The page of a run: one HTML file that needs no network, from one or several results."""
