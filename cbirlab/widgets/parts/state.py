"""What a retrieval panel shows, as traits: no widget and no drawing, so it can be tested without a browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from traitlets import Dict, HasTraits, Int, TraitError, Unicode, validate

from cbirlab.aggregation import Aggregation, registry_of
from cbirlab.attention import ATTENTIONS, Attention
from cbirlab.base.params import check_parameters
from cbirlab.pipeline.added import search_fields
from cbirlab.pipeline.fields import about
from cbirlab.whitening import Whitening

if TYPE_CHECKING:
    from cbirlab.live import Session


class Setting(NamedTuple):
    """The part of a state that decides every ranking; the arguments of `Session.rank`."""

    tap: str
    aggregation: Aggregation
    whitening: Whitening
    dimensions: int | None
    stages: tuple[tuple[str, Any], ...] = ()

    def with_stage(self, name: str, value: Any) -> Setting:
        """The setting with this value of a field of the search, or of an added stage, in place of its own."""
        return self._replace(stages=tuple((dict(self.stages) | {name: value}).items()))

    @property
    def words(self) -> str:
        """The setting in one line, without anything that was not chosen."""
        parts = [*self[:4], *self.searched]
        return " ".join(str(part) for part in parts if part not in (None, "none"))

    def title(self, backbone: str) -> str:
        """Backbone and setting as a heading."""
        whitened = "" if self.whitening == "none" else self.whitening
        kept = self.dimensions and f"{self.dimensions} dimensions"
        parts = [backbone, self.tap, self.aggregation, whitened, kept, *self.searched]
        return " · ".join(str(part) for part in parts if part)

    @property
    def slow(self) -> str:
        """What may take long to compute, in words."""
        return ", ".join([f"{self.aggregation} at {self.tap}", *self.searched])

    @property
    def searched(self) -> list[str]:
        """The search and the added stages in words: a method speaks for itself, a number has its name."""
        return [value if isinstance(value, str) else f"{name} {value}" for name, value in self.stages]


class RetrievalState(HasTraits):
    """Tap, pooling, whitening and query of a panel.

    Attributes
    ----------
    tap : where in the network the maps are read.
    attention : weights that multiply the map first, or "none".
    aggregation : name of the pooling method or encoding.
    parameters : values that were set, as {pooling method: {parameter: value}}; kept per method,
        so that going to MAC and back does not lose GeM's p.
    whitening : name of the whitening, with parameters if it has any.
    dimensions : dimensions kept after whitening, or None for all.
    stages : name to value of fields of the search and of added stages (`search_fields` of the recipe), without those at
        their defaults.
    query : row among the benchmark's queries.
    image : row of the database whose image is the query instead, or None.
    """

    tap = Unicode()
    attention = Unicode("none")
    aggregation = Unicode("gem")
    parameters = Dict()
    whitening = Unicode("none")
    dimensions = Int(None, allow_none=True)
    stages = Dict()
    query = Int(0, min=0)
    image = Int(None, min=0, allow_none=True)

    @validate("aggregation")
    def _check_aggregation(self, proposal: Any) -> str:
        return registry_of(proposal["value"]).info(proposal["value"]).name

    @validate("attention")
    def _check_attention(self, proposal: Any) -> str:
        return proposal["value"] if proposal["value"] == "none" else ATTENTIONS.info(proposal["value"]).name

    @validate("whitening")
    def _check_whitening(self, proposal: Any) -> str:
        return Whitening.parse(proposal["value"])

    @validate("stages")
    def _check_stages(self, proposal: Any) -> dict[str, str]:
        given, known = proposal["value"], search_fields()
        for name in given:
            if name not in known:
                raise TraitError(f"state: unknown stage {name!r}; stages: {', '.join(known)}.")
        checks = {name: about(one).check or str for name, one in known.items()}
        checked = {name: checks[name](value) for name, value in given.items()}
        return {name: checked[name] for name, one in known.items() if checked.get(name, one.default) != one.default}

    @validate("parameters")
    def _check_parameters(self, proposal: Any) -> dict[str, dict[str, Any]]:
        for name, values in proposal["value"].items():
            check_parameters(registry_of(name)[name], values, owner=name)
        return proposal["value"]

    def set_parameter(self, method: str, name: str, value: Any) -> None:
        """Give one parameter of one pooling method another value."""
        self.parameters = {**self.parameters, method: {**self.parameters.get(method, {}), name: value}}

    def parameter(self, method: str, name: str) -> Any:
        """The value of one parameter: the one that was set, or its default."""
        return check_parameters(registry_of(method)[method], self.parameters.get(method, {}), owner=method)[name]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> RetrievalState:
        """A state with these values, by the names of its attributes.

        Raises
        ------
        TraitError : an unknown name.
        """
        made = cls()
        made.from_json(values)
        return made

    @property
    def setting(self) -> Setting:
        """The arguments of `Session.rank`."""
        before = () if self.attention == "none" else (Attention(self.attention),)
        aggregation = Aggregation(self.aggregation, self.parameters.get(self.aggregation, {}), before)
        return settle(self.tap, aggregation, Whitening.parse(self.whitening), self.dimensions, self.stages)

    def to_json(self) -> dict[str, Any]:
        """The whole state as plain data, to be kept in a file or passed to `from_json`."""
        return self.trait_values()

    def from_json(self, saved: Mapping[str, Any]) -> None:
        """Take over a state kept by `to_json`, in one step.

        Raises
        ------
        TraitError : an unknown name.
        """
        unknown = [name for name in saved if not self.has_trait(name)]
        if unknown:
            raise TraitError(f"state: unknown names {', '.join(unknown)}; known: {', '.join(self.trait_names())}.")
        with self.hold_trait_notifications():
            for name, value in saved.items():
                setattr(self, name, value)


def settle(
    tap: str, aggregation: Aggregation, whitening: Whitening, dimensions: int | None, stages: Mapping[str, Any]
) -> Setting:
    """The setting that a choice comes to: what does not apply is left out of it."""
    # Methods that compare words have no vectors to whiten; the wish stays for the next pooling.
    whitening = Whitening("none") if aggregation.fact("similarity") else whitening
    dimensions = dimensions if whitening.fact("ordered") else None
    return Setting(tap, aggregation, whitening, dimensions, tuple(stages.items()))


def usual_start(session: Session, whitening: str = "none") -> dict[str, Any]:
    """GeM, or the first pooling on offer, at the deepest tap where it is possible; the first picture that can be read.

    That picture is a query, or a database image if the dataset has no queries. Where nothing of the dataset's own can
    teach the whitening, there is none, unless the session says what it learns on.
    """
    teaches = session.dataset.train or session.dataset.learns_on_itself or session.common.whitening_set
    whitening = whitening if teaches else "none"
    aggregation = "gem" if "gem" in session.methods else session.methods[0]
    setting = {"aggregation": aggregation, "tap": possible_tap(session, aggregation), "whitening": whitening}
    stages = {name: getattr(session.common, name) for name in search_fields()}
    rows, part, name = session.dataset.queries, "queries", "query"
    if not rows:
        rows, part, name = session.dataset.images, "images", "image"
    unreadable = session.unreadable(part)
    return {**setting, "stages": stages, name: next((row for row in range(len(rows)) if row not in unreadable), 0)}


def possible_tap(session: Session, aggregation: str, wished: str = "") -> str:
    """The wished tap if the pooling is possible there, or else the deepest tap where it is."""
    taps = [tap for tap in (wished, session.default_tap, *reversed(session.taps)) if tap in session.taps]
    return next((tap for tap in taps if session.allowed(tap, aggregation)), session.default_tap)


def state_of(state: RetrievalState | None, start: Mapping[str, Any] | None, usual: Mapping[str, Any]) -> RetrievalState:
    """The state of a panel: the given one, or a new one.

    Parameters
    ----------
    start : values that the new state starts with, instead of the `usual` ones.

    Raises
    ------
    ValueError : both are given.
    TraitError : an unknown name in `start`.
    """
    if state is None:
        return RetrievalState.of({**usual, **(start or {})})
    if start is not None:
        raise ValueError("panel: give either a state or what to start with, not both; a state starts with its values.")
    return state
