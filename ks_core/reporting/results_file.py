"""A results.json read back as checked JSON values: whatever is wrong with the file is one clear error."""

from __future__ import annotations

import copy
import json
import stat
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from ks_core.errors import InputError
from ks_core.formatting import shown, shown_path
from ks_core.reporting.quantities import quantities_of, unit_of_statistic
from ks_core.reporting.results import FORMAT, OLDER, PAIRS_COUNTED, SCHEMA, pairs_between
from ks_core.reporting.schema_check import first_problem, validator_of
from ks_core.strict_json import JsonError, parse_json

LARGEST = 1 << 28
"""Bytes of a file that is read, 256 MiB: the largest real ones, of long streams, have a few."""

EXPECTED = "a results.json that a run of ks_core wrote"

AGAIN = "restore the file, or measure again"


def read_results(path: Path) -> tuple[str, dict[str, Any]]:
    """The format of a results.json, and its content as `FORMAT` has it: of those of `OLDER` with what they lack put in.

    Raises:
        InputError: the file cannot be read, is none, is damaged, or is of another version.
    """
    place = shown_path(path)
    content: Any = _parsed(place, _bytes_of(path, place))
    if not isinstance(content, dict):
        raise InputError(f"{place} holds {shown(content)}; expected {EXPECTED}: name another file")
    form = content.get("format")
    if isinstance(form, str) and form in OLDER:
        content = upgraded(place, content)
    elif form != FORMAT:
        _refuse_format(place, content)
    problem = first_problem(validator(), content)
    if problem is not None:
        raise InputError(f"{place}: {problem}: {AGAIN}")
    _check_lengths(place, content)
    _check_facts(place, content["facts"])
    return str(form), content


@cache
def validator() -> Any:
    """The validator of `FORMAT`, of the schema that lies beside the code."""
    return validator_of(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _bytes_of(path: Path, place: str) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{place} is a folder; expected {EXPECTED}: name the file in it")
        if not stat.S_ISREG(status.st_mode):  # a pipe would wait for its writer
            raise InputError(f"{place} is no regular file; expected {EXPECTED}: store it as a file first")
        if status.st_size > LARGEST:
            raise InputError(
                f"{place} has {status.st_size:,} bytes; expected {EXPECTED}, of {LARGEST:,} at most: name another file"
            )
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, InputError):
            raise
        raise InputError(f"{place} cannot be read: {error}; expected {EXPECTED}: name another file") from error


def _parsed(place: str, raw: bytes) -> Any:
    try:
        return parse_json(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is no text in UTF-8 ({error.reason}); expected {EXPECTED}: {AGAIN}") from error
    except JsonError as error:
        raise InputError(f"{place} is cut short or no JSON ({error}); expected {EXPECTED}: {AGAIN}") from error


def _refuse_format(place: str, content: dict[str, Any]) -> NoReturn:
    form = content.get("format")
    if "format" not in content:
        raise InputError(
            f"{place} has no format (its keys are {shown(sorted(content))}); expected {EXPECTED}: name another file"
        )
    family, _, version = str(form).rpartition("/")
    ours = FORMAT.rpartition("/")
    if not isinstance(form, str) or family != ours[0] or not version.isdecimal():
        raise InputError(
            f"{place} has the format {shown(form)}; expected {shown(FORMAT)}: name the results.json of a run"
        )
    newer = int(version[:9]) > int(ours[2])
    remedy = "install that version" if newer else "measure again with this one"
    raise InputError(
        f"{place} has the format {shown(form)}, of {'a newer' if newer else 'an older'} version of ks_core; expected "
        f"one of {', '.join(map(shown, (FORMAT, *OLDER)))}: {remedy}"
    )


def upgraded(place: str, content: dict[str, Any]) -> dict[str, Any]:
    """Results of one of `OLDER` as `FORMAT` has them: every number as it was, beside it what the file left to be known.

    Units and n of statistics follow from the matrix and the facts. What does not follow is said not to be known: the
    unit of a finding (empty) and the number of random draws (null) of format 2, the texts of facts, d_key (both none),
    the matrices and a finding's interval of all places at once (both null) of formats 2 and 3.

    Raises:
        InputError: a part is not there, or of another type, so that nothing can be put beside its numbers.
    """
    form = content["format"]
    try:
        made = copy.deepcopy(content)
        if form == OLDER[-1]:
            _put_units(made)
        made["facts"] |= {"measured": [], "others": []}
        made["findings"] = [finding | {"familywise": None} for finding in made["findings"]]
        made |= {"format": FORMAT, "d_key": [], "matrices": None}
        return made | {"quantities": quantities_of(made)}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{place} has the format {shown(form)} and is damaged ({type(error).__name__}: {error}); expected what a "
            f"run of ks_core wrote: {AGAIN}"
        ) from error


def _put_units(made: dict[str, Any]) -> None:
    """From format 2 to what 3 has."""
    subjects = pairs_between(made["facts"]["distinct_subjects"])
    for part, pairs in (("statistics", made["pairs"]), ("one_fact_per_subject", subjects)):
        for matrix, by_name in made[part].items():
            for name, of in by_name.items():
                of |= {"unit": unit_of_statistic(matrix, name), "count": pairs, "counted": PAIRS_COUNTED}
    drawn = [("P", made["null_of_lengths"]), *made["null"].items()]
    for matrix, by_name in drawn:
        for name, of in by_name.items():
            of |= {"unit": unit_of_statistic(matrix, name), "count": None, "counted": "random draws"}
    for finding in made["findings"]:
        finding["unit"] = ""
    made["editing"] = {name: of or None for name, of in made["editing"].items()}


def _check_lengths(place: str, content: dict[str, Any]) -> None:
    """Every list of one number a layer has one for each."""
    layers = len(content["layers"])
    lists = {name: content[name] for name in ("condition_number", "rank", "silent_neurons")}
    lists |= {f"extremes.{name}.{end}": of[end] for name, of in content["extremes"].items() for end in of}
    parts = {name: content[name] for name in ("statistics", "one_fact_per_subject")}
    parts |= {"null_of_lengths": {"": content["null_of_lengths"]}}
    for part, by_matrix in parts.items():
        for matrix, by_name in by_matrix.items():
            for name, of in by_name.items():
                where = ".".join(filter(None, (part, matrix, name)))
                lists |= {f"{where}.{field}": item for field, item in of.items() if isinstance(item, list)}
    if content["d_key"]:  # none of an older format
        lists["d_key"] = content["d_key"]
    for name, numbers in lists.items():
        if len(numbers) != layers:
            raise InputError(
                f"{place}: {name} has {len(numbers)} numbers; expected one for each of {layers} layers: {AGAIN}"
            )


def _check_facts(place: str, facts: dict[str, Any]) -> None:
    """Facts are told in the order of the matrices' rows, or, in an older format, not at all."""
    told = [of["case_id"] for of in facts["measured"]]
    if told and told != facts["measured_case_ids"]:
        raise InputError(
            f"{place}: facts.measured has {len(told)} facts, {shown(told[:3])} first; expected those of "
            f"measured_case_ids, {len(facts['measured_case_ids'])} in its order: {AGAIN}"
        )
