"""Facts and text: what is measured, where it comes from, and the hashes that prove it."""
