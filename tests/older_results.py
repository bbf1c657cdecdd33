"""Results as the version before wrote them: without units, without n beside the statistics."""

import copy

from ks_core.reporting.results import OLDER


def as_older(content):
    """The content of a results.json of format 3 as one of format 2."""
    older = copy.deepcopy(content) | {"format": OLDER}
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
