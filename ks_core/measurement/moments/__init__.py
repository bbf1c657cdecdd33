"""Second moments of keys: collected over text, kept with what they were made from."""
