"""Results as versions before wrote them."""

import copy

from ks_core.reporting.results import OLDER


def as_format_3(content):
    """The content of a results.json of format 4 as one of format 3.

    It has no texts of facts, no d_key, no matrices, and no intervals of all places at once.
    """
    older = copy.deepcopy(content) | {"format": OLDER[0]}
    del older["facts"]["measured"], older["facts"]["others"], older["d_key"], older["matrices"]
    for finding in older["findings"]:
        del finding["familywise"]
    return older


def as_older(content):
    """The same as one of format 2: without units and without n beside the statistics."""
    older = as_format_3(content) | {"format": OLDER[-1]}
    del older["quantities"]
    lists = [older["null_of_lengths"], *older["null"].values()]
    lists += [*older["statistics"].values(), *older["one_fact_per_subject"].values()]
    for by_name in lists:
        for of in by_name.values():
            for name in ("unit", "count", "counted"):
                del of[name]
    for finding in older["findings"]:
        del finding["unit"]
    older["editing"] = {name: of or {} for name, of in older["editing"].items()}
    return older
