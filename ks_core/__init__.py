"""Knowledge superposition: the interference between facts edited into a language model, computed and measured."""

__version__ = "0.1.0"
