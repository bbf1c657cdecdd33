"""What is watched of a model during a long stream, edited so far or not at all."""

from __future__ import annotations

from dataclasses import dataclass

from ks_core.measurement.standing import Standing
from ks_core.statistics.pairs import Array


@dataclass(frozen=True, eq=False)
class Look:
    """A model after the first n edits of one order.

    Every `Standing` is of an object against the other one of its edit (`lead` above 0: the own one is ahead where the
    two part); the watched facts are asked against the other objects of their relation and all that edits write.

    Attributes:
        edits: n
        early: (min(n, q),) new objects after the prompts of the edits made so far among the first quarter, q of them
        later: (l,) the same of a sample of those made so far that come after the first quarter
        paraphrase: (p,) new objects after one other wording each, of a sample of `early`
        neighbourhood: (p',) true objects after one prompt each about another subject, of a sample of `early`
        watched: (M,) own objects of facts that no edit is for
        losses: (texts,) of held-out text, nats a token
        growth: ‖ΔW‖ / ‖W‖, Frobenius, the layers of an edit together; 0 before any
        length: ‖ΔW C^½‖, the root mean square change of what the layers put out over the text; 0 before any
    """

    edits: int
    early: Standing
    later: Standing
    paraphrase: Standing
    neighbourhood: Standing
    watched: Standing
    losses: Array
    growth: float
    length: float


@dataclass(frozen=True, eq=False)
class Curve:
    """A method with one setting of its knob, in every order that it was run in.

    Attributes:
        method: "sequential", "joint", …, or the name of anyone's editor
        setting: of its knob, in words: "ridge 1", "batches of 10"; empty for a method without one
        is_default: as it was published, or as it is recommended; the other settings make the frontier
        looks: by order, looks at rising n
        failed: why looks are missing, in one line; empty where none are
    """

    method: str
    setting: str
    is_default: bool
    looks: tuple[tuple[Look, ...], ...]
    failed: str = ""

    @property
    def name(self) -> str:
        """Method and setting."""
        return f"{self.method}, {self.setting}" if self.setting else self.method

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of edits that every order was looked at after."""
        counts = [{look.edits for look in looks} for looks in self.looks]
        return tuple(sorted(set.intersection(*counts))) if counts else ()

    def at(self, count: int) -> tuple[Look, ...]:
        """By order, the look after so many edits; orders without it are left out."""
        return tuple(look for looks in self.looks for look in looks if look.edits == count)
