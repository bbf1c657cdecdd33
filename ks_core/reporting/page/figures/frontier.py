"""What methods keep of their edits against what they break of everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ks_core.formatting import plus_minus
from ks_core.reporting.page.figure import PageFigure
from ks_core.reporting.page.figures.chart import Row, axis, chart, kept, label, tooltip
from ks_core.reporting.page.figures.methods import looks
from ks_core.reporting.page.figures.stored import model_name
from ks_core.reporting.stored_results import StoredResults

DEFAULT, OTHER = "as published or recommended", "another setting"


def frontier_figure(results: StoredResults) -> PageFigure | None:
    """Retention against damage: of a long stream, or else of the short one; None where neither was measured."""
    editing = results.content["editing"]
    if editing.get("lifelong"):
        return _of_lifelong(results, editing["lifelong"])
    return _of_stream(results, editing["stream"]) if editing.get("stream") else None


def _of_lifelong(results: StoredResults, lifelong: Mapping[str, Any]) -> PageFigure | None:
    last = max((look["edits"] for curve in lifelong["curves"] for look in curve["looks"]), default=0)
    rows = []
    for curve in lifelong["curves"]:
        looks_then = [look for look in curve["looks"] if look["edits"] == last]
        for look in looks_then:
            row = _row(curve["method"], look["scores"]["watched halved"], look["scores"]["retention"])
            rows.append({**row, "setting": label(curve["setting"] or "default"), "kind": _kind(curve["default"])})
    rows = [row for row in rows if row["x"] is not None and row["y"] is not None]
    if not rows:
        return None
    failed = sum(bool(curve["failed"]) for curve in lifelong["curves"])
    watched = len(lifelong["near_case_ids"]) + len(lifelong["far_case_ids"])
    without = f" {failed} settings failed and are not shown." if failed else ""
    caption = (
        f"{model_name(results)}, layer {lifelong['layer']}: after {last} edits of a long stream, in "
        f"{len(lifelong['orders'])} orders. Upwards: retention, the mean p(new) of the first quarter "
        f"({lifelong['first_quarter']} edits); to the right: the share of {watched} watched facts whose own object has "
        "lost half of its probability. Up and left is better. Large: a method as published or recommended, small: "
        f"other settings.{without} Bars are one standard error over facts."
    )
    return _figure(rows, caption, "watched facts halved (share)", "retention p(new)", whole=True)


def _of_stream(results: StoredResults, stream: Mapping[str, Any]) -> PageFigure | None:
    rows, last = [], 0
    for method, run in stream["methods"].items():
        scores, last = run[-1]["scores"], max(last, run[-1]["edits"])
        spared = scores["neighbourhood"]
        damage = {**spared, "value": None if spared["value"] is None else 1 - spared["value"]}
        rows.append({**_row(method, damage, scores["retention"]), "setting": "default", "kind": DEFAULT})
    rows = [row for row in rows if row["x"] is not None and row["y"] is not None]
    if not rows:
        return None
    caption = (
        f"{model_name(results)}, layer {stream['layer']}: after a short stream of {last} edits (no long stream was "
        "measured). Upwards: retention, the mean p(new) - p(true) of the first quarter of the edits; to the right: the "
        "share of neighbourhood prompts at which the new object is ahead of the true one, as it may be at some before "
        "any edit. Up and left is better. Bars are one standard error over facts, of which all methods are read at the "
        "same. The axes need not begin at 0."
    )
    return _figure(rows, caption, "neighbourhood overtaken (share)", "retention p(new) - p(true)", whole=False)


def _row(method: str, damage: Mapping[str, Any], retention: Mapping[str, Any]) -> Row:
    row: Row = {"series": label(method)}
    for name, of in (("x", damage), ("y", retention)):
        value, error = kept(of["value"]), kept(of["error"])
        row |= {name: value, f"{name}_error": error}
        if value is not None and error is not None:
            row |= {f"{name}_low": kept(value - error), f"{name}_high": kept(value + error)}
    return row


def _kind(default: bool) -> str:
    return DEFAULT if default else OTHER


def _figure(rows: list[Row], caption: str, damage: str, retention: str, *, whole: bool) -> PageFigure:
    said = [
        f"{row['series']}{'' if row['kind'] == DEFAULT else ' (' + row['setting'] + ')'}: retention "
        f"{_shown(row, 'y')}, damage {_shown(row, 'x')}"
        for row in rows
        if row["kind"] == DEFAULT
    ]
    others = sum(row["kind"] == OTHER for row in rows)
    more = f" {others} other settings are drawn too." if others else ""
    return PageFigure(
        name="frontier",
        title="Retention against damage",
        caption=caption,
        alternative=f"{'; '.join(said)}.{more}",
        spec=_spec(rows, damage, retention, whole=whole),
    )


def _shown(row: Row, of: str) -> str:
    error = row[f"{of}_error"]
    return plus_minus(row[of], float("nan") if error is None else error)


def _spec(rows: list[Row], damage: str, retention: str, *, whole: bool) -> Row:
    colour, shape, _ = looks([row["series"] for row in rows])
    # Of a long stream both axes begin at 0, where the best method would be; a bar that reaches below is cut there.
    x = axis("x", damage, scale={"domainMin": 0} if whole else {"zero": False, "padding": 12}, tickCount=6)
    y = axis("y", retention, scale={"domain": [0, 1]} if whole else {"zero": False, "padding": 12}, tickCount=6)
    across = {
        "transform": [{"filter": "isValid(datum.x_low)"}],
        "mark": {"type": "rule", "opacity": 0.6, "clip": True},
        "encoding": {"x": {**x, "field": "x_low"}, "x2": {"field": "x_high"}, "y": y, "color": colour},
    }
    upright = {
        "transform": [{"filter": "isValid(datum.y_low)"}],
        "mark": {"type": "rule", "opacity": 0.6, "clip": True},
        "encoding": {"x": x, "y": {**y, "field": "y_low"}, "y2": {"field": "y_high"}, "color": colour},
    }
    size = {"field": "kind", "type": "ordinal", "legend": None,
            "scale": {"domain": [DEFAULT, OTHER], "range": [130, 40]}}  # fmt: skip
    points = {
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {
            "x": x, "y": y, "color": colour, "shape": shape, "size": size,
            "tooltip": tooltip(series="method", setting="setting", y="retention", y_error="± of retention", x="damage",
                               x_error="± of damage"),
        },
    }  # fmt: skip
    return chart([across, upright, points], labels=len({row["series"] for row in rows}), data={"values": rows})
