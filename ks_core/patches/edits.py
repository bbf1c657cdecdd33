"""Edits of a model as a value: made by a method, applied inside a block."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from ks_core import arguments
from ks_core.data.conflicts import warn_of_conflicts
from ks_core.data.fact import Fact
from ks_core.data.facts import Facts, load_facts
from ks_core.errors import InputError
from ks_core.formatting import shown
from ks_core.measurement.cached_values import cached_target_values
from ks_core.measurement.keys import subject_keys
from ks_core.measurement.moments.second_moments import SecondMoments
from ks_core.measurement.values import TargetValues, ValueSettings
from ks_core.measurement.whitening import TextWhitening, text_of
from ks_core.models.editing import edited
from ks_core.models.fingerprint import weights_sha256
from ks_core.models.loaded import LoadedModel
from ks_core.models.loading import Model, load_model
from ks_core.patches.base import Base
from ks_core.theory.editing import Edit, EditTerms, edit_terms
from ks_core.theory.editors import EditFunction, check_editors, method_of
from ks_core.theory.key_spaces import KeySpace, null_space
from ks_core.theory.key_spaces import protect as protect_keys
from ks_core.theory.methods import FORMS, METHODS
from ks_core.theory.traits import traits_of
from ks_core.theory.whitening import add_ridge, check_ridge


@dataclass(frozen=True, eq=False, repr=False)
class Edits:
    """Edits of one layer of one model, as `edit` makes them; nothing is edited until they are `applied`.

    Attributes:
        base: the model
        method: its name
        facts: n facts whose `target_new` is to become true, in the order of the edits
        values: their keys and the values that these are to have
        terms: what the method's closed form needs of each edit; None for an editor of one's own
        edit: all n edits together: ΔW = left @ right, (d_value, n) and (n, d_key) float64
        search: for the values
        moments: of the text, in whose directions they are written
        ridge: added to the second moment, in mean eigenvalues
        protected: facts that the method was told to leave as they are
        before_sha256: of the layer's projection that they were made for
    """

    base: Base
    layer: int
    method: str
    facts: tuple[Fact, ...]
    values: TargetValues
    terms: EditTerms | None
    edit: Edit
    search: ValueSettings
    moments: SecondMoments
    ridge: float
    protected: tuple[Fact, ...]
    before_sha256: str

    @property
    def model(self) -> str:
        """The model's name."""
        return self.base.name

    @property
    def reached(self) -> Tensor:
        """(n,) float64, probability per token of each new object that its value reaches on its own."""
        return self.values.probabilities

    def require_unedited(self, model: LoadedModel) -> None:
        """Refuse a model whose layer has another weight than the one that they were made for.

        Raises:
            InputError: it has, or has no such layer.
        """
        if weights_sha256(model.adapter.projection(self.layer)) != self.before_sha256:
            raise InputError(
                f"layer {self.layer} of {shown(model.name)} has another weight than the one that the edits were made "
                f"for (of {shown(self.model)}); expected the same model, this layer unedited: make the edits for this "
                "one"
            )

    def __len__(self) -> int:
        return len(self.facts)

    def __repr__(self) -> str:
        low, high = float(self.reached.min()), float(self.reached.max())
        return (
            f"Edits(facts={len(self)}, method={self.method!r}, layer={self.layer}, model={shown(self.model)}, "
            f"reached={low:.2g} to {high:.2g})"
        )


def edit(
    model: Model,
    facts: Facts,
    layer: int,
    method: str | EditFunction = "joint",
    *,
    protect: Facts | None = None,
    moments: SecondMoments | None = None,
    ridge: float = 0.0,
    search: ValueSettings | None = None,
) -> Edits:
    """Make edits of facts in one layer; the model stays as it is until they are `applied`.

    The value of each edit is searched on the unedited model (cached), then the method writes all of them:

        sequential   rank-one edits one after another, each exact at the weight that the last one left (the paper's)
        joint        all at once, so that none disturbs another (MEMIT on one layer, without a ridge)
        null-space   all at once, where the text hardly has any variance (AlphaEdit)
        protected    all at once, without any change at the facts of `protect`

    Args:
        model: as `load_model` takes it.
        facts: n facts, as `load_facts` takes them, whose `target_new` is to become true.
        layer: the layer to edit.
        method: one of the four, or an editor of one's own, `edit(weight, keys, values, second_moment) -> new weight`,
            as `check_editor` takes it, with another name than the four; it is tried on a small weight first.
        protect: facts that must not change, for `protected` and for editors whose traits say that they protect keys.
        moments: as `second_moments` gives them for this model; with its defaults when left out.
        ridge: added to the second moment before whitening, in mean eigenvalues; not for `null-space`.
        search: how the value of each edit is searched.

    Raises:
        InputError: an unknown method or layer, facts that the model cannot be asked about, `protect` or a ridge where
            it means nothing, `protect` where it is missing, an editor that fails.
        ProvenanceError: second moments of another model.
        RankDeficientError: joint edits of facts whose keys are not independent, as two facts with one subject can be.
        InfeasibleEditError: an edit that cannot be made without changing what is protected.

    Warns:
        UserWarning: two edits of one subject and relation, by name; or the model's last layer.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.measurement.moments.collecting import collect_second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> facts = [Fact(n, city, "P17", "{} lies in", "Japan", "Peru") for n, city in enumerate(("Nara", "Kyoto"))]
        >>> edits = edit(model, facts, layer=0, moments=collect_second_moments(model, text, tokens=400))
        >>> len(edits), edits.edit.left.shape, edits.edit.right.shape
        (2, torch.Size([8, 2]), torch.Size([2, 12]))
    """
    search = ValueSettings() if search is None else search
    arguments.instance("search", search, ValueSettings, "such as ValueSettings(steps=50)")
    name, ridge = _name_of(method), check_ridge(ridge)
    _refuse_without_meaning(method, name, protect, ridge)
    wanted, kept = load_facts(facts).facts, () if protect is None else load_facts(protect, "protect").facts
    loaded = load_model(model)
    layer = loaded.adapter.layer_number(layer)
    warn_of_conflicts(wanted)
    _warn_of_last_layer(layer, loaded.adapter.num_layers)
    text = text_of(loaded, layer, moments, ridge)
    keys = subject_keys(loaded, kept, [layer])[layer] if kept else None
    values = cached_target_values(loaded, wanted, layer, search)
    weight = loaded.adapter.weight(layer).to("cpu", torch.float64)
    if callable(method):
        own = method_of(method, add_ridge(text.second_moment(layer), text.ridge), keys)
        terms, made = None, own.edit(weight, values.keys, values.values)
    else:
        terms = edit_terms(weight, values.keys, values.values, _space(method, text, layer, keys))
        made = FORMS[method](terms)
    before = weights_sha256(loaded.adapter.projection(layer))
    base = Base.of(loaded)
    return Edits(base, layer, name, wanted, values, terms, made, search, text.moments, ridge, kept, before)


def _warn_of_last_layer(layer: int, num_layers: int) -> None:
    if layer == num_layers - 1:
        warnings.warn(
            f"layer {layer} is the model's last: what is written at a subject there reaches no later token, so only "
            "prompts that end with their subject are answered differently; edit an earlier layer",
            UserWarning,
            stacklevel=3,
        )


def _name_of(method: str | EditFunction) -> str:
    """The name of a method, or of an editor that works and has none of ours."""
    if callable(method):
        return next(iter(check_editors({getattr(method, "__name__", type(method).__name__): method})))
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(f"method is {shown(method)}; expected one of {', '.join(METHODS)}, or an editor")
    return method


def _refuse_without_meaning(method: str | EditFunction, name: str, protect: Facts | None, ridge: float) -> None:
    protects = traits_of(method).protected if callable(method) else method == "protected"
    if (protect is not None) != protects:
        given = "no facts to protect were given" if protect is None else "facts to protect were given"
        raise InputError(
            f"{given} with method {shown(name)}; expected protect=FACTS with 'protected' or an editor that protects "
            "keys, and with no other"
        )
    if ridge and method == "null-space":
        raise InputError(
            f"ridge is {ridge} with method 'null-space'; expected none: it writes where the text hardly has any "
            "variance, and whitens nothing"
        )


def _space(method: str, text: TextWhitening, layer: int, protected: Tensor | None) -> KeySpace:
    """Where a method writes, by the layer's text."""
    if method == "null-space":
        return null_space(text.second_moment(layer))
    whitening = text.whole(layer)
    return whitening if protected is None else protect_keys(whitening, protected)


def applied(model: LoadedModel, edits: Edits) -> edited:
    """Edit a model inside a `with` block; bit for bit the old one afterwards, whatever happened inside.

    Edits of different layers may be applied inside each other.

    Args:
        model: in memory, as `load_model` gives it.
        edits: as `edit` makes them for this model.

    Raises:
        InputError: a model that is not in memory, what is no edits, or a layer whose weight is not the one that they
            were made for.
        UndoError: at the end of the block, where the layer is gone.

    Example:
        >>> from ks_core.data.corpus import corpus_of
        >>> from ks_core.measurement.moments.collecting import collect_second_moments
        >>> from ks_core.models.tiny import byte_level_tokenizer, tiny_model
        >>> model = load_model(tiny_model("gpt2"), byte_level_tokenizer())
        >>> text = corpus_of((f"The river of {n} towns, and {n * n} stones." for n in range(40)), "rivers")
        >>> facts = [Fact(1, "Nara", "P17", "{} lies in", "Japan", "Peru")]
        >>> edits = edit(model, facts, layer=0, moments=collect_second_moments(model, text, tokens=400))
        >>> before = model.weights_sha256
        >>> with applied(model, edits):
        ...     model.weights_sha256 == before
        False
        >>> model.weights_sha256 == before
        True
    """
    if not isinstance(model, LoadedModel):
        raise InputError(f"model is {shown(model)}; expected one in memory, as load_model gives it: load it first")
    arguments.instance("edits", edits, Edits, "as edit(model, facts, layer) makes them")
    edits.require_unedited(model)
    return edited(model.adapter, edits.layer, edits.edit.delta())
