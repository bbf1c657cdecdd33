"""The trained toy that ships with the package, so that a first run needs no download of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ks_core.errors import AssetError
from ks_core.files import sha256_of
from ks_core.formatting import shown_path
from ks_core.shipped import fixture_path


@dataclass(frozen=True)
class Toy:
    """A checkpoint among the packaged files.

    Attributes:
        folder: below `fixtures/models`
        files: SHA-256 of each of its files, by name; what else lies in the folder is not read
    """

    folder: str
    files: Mapping[str, str]
    licence: str

    @property
    def revision(self) -> str:
        """What is recorded of where the weights are from."""
        return f"{self.folder}@{self.files['model.safetensors'][:12]}"


TOYS: dict[str, Toy] = {
    "toy": Toy(
        folder="ks-llama-l2",
        files={
            "config.json": "00232f537287993e48383963fcd1e01dfc4c1def85a9d13ceef1701a98933412",
            "generation_config.json": "092227f16c0a58b252b9ef75f0fad960ec97acd6db29c772633862d38b65f00a",
            "model.safetensors": "757ec90cfa65ebdb1c8d62318d9293e06bdad263da31953cedb78ff0d78b7dc9",
            "tokenizer.json": "76f3a26213cc803df065003aa999b411c8786c5355671ef7b731c504007f690a",
            "tokenizer_config.json": "2cf929120aa1d79b70ca66af6d1dd55ae1ac641123359628ff1df6a3e88712eb",
        },
        licence="CC BY-SA 4.0",
    )
}
"""By name. The smallest of the project's models that knows twice as many of the packaged facts as are measured (128),
so that the claim about enough facts can be judged too; `fixtures/models/README.md` says what it is not."""


def toy_folder(name: str) -> Path:
    """Where a toy's checkpoint lies.

    Raises:
        AssetError: the installation has it not.
    """
    return fixture_path(f"models/{TOYS[name].folder}")


def ensure_toy(name: str) -> Path:
    """The folder of a toy whose files are those that were trained: each is hashed, which takes a few milliseconds.

    Raises:
        AssetError: a file is missing or is another.
    """
    folder = toy_folder(name)
    for file, digest in TOYS[name].files.items():
        path = folder / file
        found = sha256_of(path) if path.is_file() else "none"
        if found != digest:
            place = shown_path(str(folder))
            raise AssetError(
                f"{file} of the packaged model {name} ({place}) has sha256 {found}; expected {digest}: install the "
                "package again"
            )
    return folder
