"""Texts and facts that a model can be trained on in seconds."""

from ks_core.data.facts import Fact, FactSet

WORDS = ["Paris", "Lisbon", "Kyoto", "river", "stone", "quickly", "above", "seven", "green", "walks", "under", "music"]
TEXTS = [" ".join(WORDS[(i * j + j) % len(WORDS)] for j in range(5 + i % 60)) for i in range(100)]
FACTS = FactSet(
    tuple(
        Fact(i, city, "P17", prompt, country, other, (f"Travellers to {city} speak of",))
        for i, (city, prompt, country, other) in enumerate(
            [("Paris", "{} lies in", "France", "Japan"), ("Kyoto", "{} is in", "Japan", "France")]
        )
    ),
    "two",
    "0" * 64,
    "a test",
)
