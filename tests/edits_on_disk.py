"""A tiny model with edits, more edits and facts to keep as files, and the commands of `ks` on them."""

import json

from measured import write_everything


def write_files(folder):
    """A folder with a tiny model, its text, edits, more edits, and facts to keep."""
    write_everything(folder, "llama", layers=3)
    records = json.loads((folder / "facts.json").read_text())["facts"]
    parts = {"edits": records[24:27], "more": records[27:28], "all": records[24:28], "keep": records[30:36]}
    for name, part in parts.items():
        (folder / f"{name}.json").write_text(json.dumps(part))
    return folder


def options(prepared, *given, edits="edits.json"):
    text = ["--corpus", prepared / "text.txt", "--keep", prepared / "keep.json"]
    model = ["--model", prepared / "model", "--tokens", 1600]
    # a model of random weights hardly says anything, whatever the value: these edits would stop it
    return [str(word) for word in ("edit", prepared / edits, *text, *model, "--allow-unreached", *given)]


def more(prepared, *given):
    text = ["--corpus", prepared / "text.txt", "--keep", prepared / "keep.json"]
    return [str(word) for word in ("edit", prepared / "more.json", *text, "--allow-unreached", *given)]


def cases(prepared, name):
    return [record["case_id"] for record in json.loads((prepared / f"{name}.json").read_text())]
