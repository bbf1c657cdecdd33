"""What order and grouping of edits save: how well the edits themselves hold, simulated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ks_core.auditing.simulation import simulate_together
from ks_core.auditing.wanted import Wanted
from ks_core.measurement.kept_facts import in_batches
from ks_core.measurement.objects import refuse_not_finite
from ks_core.models.loaded import LoadedModel
from ks_core.statistics.means import Mean, mean_of
from ks_core.statistics.pairs import Array
from ks_core.theory.editing import Edit
from ks_core.theory.ordering import gentlest_order, interfering_groups

TIED = 0.1
"""|P| above which two edits are put into one group: a tenth of a residual is felt, the level of the paper's figures."""


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """How E edits hold: log-probability of each one's new object after all are made, in nats a token.

    Attributes:
        as_given: (E,) made one after another in their order
        gentlest: (E,) made one after another in `order`, in the order of the edits
        jointly: (E,) made all at once; None where their keys depend on one another
        order: of the edits, places, that disturbs earlier edits least
        groups: places of edits that disturb one another, directly or through others; every edit is in one
    """

    as_given: Array
    gentlest: Array
    jointly: Array | None
    order: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]

    @property
    def saved_by_order(self) -> Mean:
        """Nats a token that an edit keeps more in the gentlest order than in the given one, with its standard error."""
        return mean_of(self.gentlest - self.as_given)

    def saved_by_joining(self, group: Sequence[int]) -> Mean:
        """Nats a token that an edit of a group keeps more where all edits are made jointly and not one after another.

        Over none where all cannot be made jointly.
        """
        places = [] if self.jointly is None else list(group)
        jointly = self.as_given if self.jointly is None else self.jointly
        return mean_of(jointly[places] - self.as_given[places])


def plan(model: LoadedModel, wanted: Wanted, among: Tensor, norms: Tensor) -> Plan:
    """Simulate the edits in their order, in the gentlest, and jointly: three passes over their own prompts.

    Args:
        model: unedited; no weight is touched.
        wanted: E edits.
        among: (E, E) P among them.
        norms: (E,) lengths of their whitened keys.

    Raises:
        InputError: a log-probability that is not finite; names the edit.
    """
    order = tuple(gentlest_order(norms, wanted.residuals.norm(dim=1)).tolist())
    groups = tuple(tuple(group) for group in interfering_groups(among, TIED))
    own = [replace(fact, target_true=fact.target_new, target_new=fact.target_true) for fact in wanted.facts]
    batches = in_batches(model, own, [frozenset()] * len(own))

    def held(edit: Edit) -> Array:
        found = simulate_together(model, {wanted.layer: edit}, batches).log_probability
        refuse_not_finite(found, own, [fact.target_true for fact in own])
        return found.numpy()

    jointly = wanted.jointly()
    return Plan(
        as_given=held(wanted.one_after_another()),
        gentlest=held(wanted.one_after_another(order)),
        jointly=None if jointly is None else held(jointly),
        order=order,
        groups=groups,
    )
