"""What edits will break, predicted for facts or for edits that were made."""

from __future__ import annotations

from collections.abc import Sequence

from ks_core.arguments import instance, whole_number
from ks_core.auditing.predict import EXACT, Exact, Made
from ks_core.auditing.predict import audit as audit_facts
from ks_core.auditing.prediction import Audit
from ks_core.data.facts import PACKAGED_FACTS, Facts
from ks_core.errors import InputError
from ks_core.measurement.known import known_facts
from ks_core.measurement.moments.peers.stated import sum_of
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.measurement.values import ValueSettings
from ks_core.models.loading import Model, load_model
from ks_core.patches.edits import Edits
from ks_core.theory.whitening import check_ridge


def audit(
    model: Model,
    edits: Edits | Facts,
    keep: Facts = PACKAGED_FACTS,
    *,
    layer: int | None = None,
    layers: Sequence[int] | None = None,
    moments: SecondMoments | None = None,
    ridge: float | None = None,
    search: ValueSettings | None = None,
    exact: Exact = EXACT,
    method: str = "joint",
) -> Audit:
    """Predict what edits would do to facts that are to stay, before any weight is touched.

        W + δ_i (C⁻¹k_i)ᵀ / k_iᵀC⁻¹k_i        let act through the network: what each kept fact's own object loses

    Each edit is simulated alone, on the facts that a screen puts foremost, and all of them together on every fact.
    Alone it is written along C⁻¹k, as `sequential` and `joint` edits are.

    Args:
        model: as `load_model` takes it, unedited.
        edits: facts whose `target_new` is to become true, as `load_facts` takes them; or `Edits` that were made, which
            are audited as they are: in their layer, with their values, second moments and ridge. Where these were
            imported and the edits read from a folder, `moments` has to be the same files, imported again.
        keep: facts that are to stay; of the packaged ones, those that the model knows.
        layer: the layer to edit; when left out, the one of `layers` where a sample of the edits costs least.
        layers: to try; several, evenly over the depth, when left out.
        moments: as `second_moments` gives them for this model; with its defaults when left out.
        ridge: added to the second moment before whitening, in mean eigenvalues; none when left out.
        search: how the value of each edit is searched.
        exact: facts that are simulated for each edit; "all" for all of them.
        method: how all edits together are made, "joint" or "sequential"; `Edits` have their own.

    Returns:
        `Audit`; `audit.together.worst(5)` are the facts that lose most by all edits, `audit.worst(edit=0, count=5)`
        those that lose most by the first edit alone.

    Raises:
        InputError: nothing to edit or to keep, a layer that does not exist, inputs that cannot be used; `Edits`
            together with another layer, text, ridge or search, of a model whose layer is another by now, or made by
            another method than this predicts.
        ProvenanceError: second moments of another model.

    Warns:
        UserWarning: two edits of one subject and relation; names them.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.data.facts import Fact
        >>> from ks_core.front.text import second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> moments = second_moments(model, tokens=400, corpus=text)
        >>> facts = [Fact(n, city, "P17", "{} lies in", "Japan", "Peru") for n, city in enumerate(("Nara", "Kyoto"))]
        >>> found = audit(model, facts[:1], keep=facts[1:], layer=0, moments=moments)
        >>> found.shares.shape, found.worst(edit=0, count=1)[0].fact.subject
        ((1, 1), 'Kyoto')
    """
    if search is not None:
        instance("search", search, ValueSettings, "such as ValueSettings(steps=50)")
    loaded = load_model(model)
    if isinstance(keep, str) and keep == PACKAGED_FACTS:
        keep = known_facts(loaded).facts
    if not isinstance(edits, Edits):
        ridge = 0.0 if ridge is None else ridge
        return audit_facts(
            loaded,
            edits,
            keep,
            layer=layer,
            layers=layers,
            moments=moments,
            ridge=ridge,
            search=search,
            exact=exact,
            method=method,
        )
    _refuse_other(edits, layer, layers, moments, ridge, search)
    edits.require_unedited(loaded)
    return audit_facts(
        loaded,
        edits.facts,
        keep,
        layer=edits.layer,
        moments=moments if moments is not None and not edits.moments.complete else edits.moments,
        ridge=edits.ridge,
        exact=exact,
        made=Made(edits.values, edits.edit, edits.method, edits.search),
    )


def _refuse_other(
    edits: Edits,
    layer: int | None,
    layers: Sequence[int] | None,
    moments: SecondMoments | None,
    ridge: float | None,
    search: ValueSettings | None,
) -> None:
    """Refuse edits that are not predicted, and what they were not made with."""
    if edits.method not in ("sequential", "joint"):
        raise InputError(
            f"these are {edits.method} edits, and an audit predicts edits that are written along C⁻¹k; expected "
            "sequential or joint ones: audit edits.facts for those"
        )
    pairs = {
        "layer": (None if layer is None else whole_number("layer", layer), edits.layer),
        "layers": (None if layers is None else tuple(layers), (edits.layer,)),
        "moments": (None if moments is None else _text(moments, edits.layer), _text(edits.moments, edits.layer)),
        "ridge": (None if ridge is None else check_ridge(ridge), edits.ridge),
        "search": (search, edits.search),
    }
    other = [name for name, (given, own) in pairs.items() if given is not None and given != own]
    if other:
        raise InputError(
            f"{' and '.join(other)} given with {edits!r}, which were made with others; expected none, as they have "
            "their own: or audit edits.facts"
        )


def _text(moments: SecondMoments, layer: int) -> tuple[str, str | None]:
    """What second moments were made from, whichever layers they have; of imported ones the layer's own sum too."""
    given = instance("moments", moments, SecondMoments, "as second_moments(model) gives them")
    return given.provenance.digest(), sum_of(given.provenance, layer)
