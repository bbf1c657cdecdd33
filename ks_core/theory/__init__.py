"""The linear algebra of edits: whitening, superposition, closed-form edits and their interference."""
