"""The errors this package raises. Each message says what is wrong, what was got, what was expected and what to do."""


class KsError(Exception):
    """Base of every error that the package raises on purpose; its text is complete without a traceback."""


class InputError(KsError, ValueError):
    """An argument, a file or an array that cannot be used as it is."""


class TooLittleTextError(InputError):
    """A text with fewer tokens than are asked for."""


class TooFewFactsError(InputError):
    """A model that knows fewer facts of a file than are to be measured.

    Attributes:
        usable: how many it knows, and can be asked about
    """

    def __init__(self, message: str, usable: int) -> None:
        super().__init__(message)
        self.usable = usable


class UnknownNameError(InputError, KeyError):
    """A name that is none of those there are."""

    __str__ = Exception.__str__  # KeyError's would put the message in quotes


class RankDeficientError(InputError):
    """A second moment (or a set of keys) spans fewer directions than the computation needs."""


class ReturnedError(InputError):
    """What someone's own function returned, where it is of no use."""


class NotFiniteError(ReturnedError):
    """Someone's own function returned NaN or infinity."""


class InfeasibleEditError(InputError):
    """An edit that no update can make without changing what must stay."""


class ProvenanceError(KsError):
    """Stored data that was made from something else than what is asked for; the message names the field."""


class NotStoredError(ProvenanceError):
    """Stored data that is not there."""


class StorageError(KsError):
    """A file that cannot be written: no space, no permission, or something else in its place."""


class OutOfMemoryError(KsError, MemoryError):
    """A device, or the host, without memory for what is to be done."""


class ProcessError(KsError):
    """One of several processes that ended or failed before its work was done, and the others with it."""


class UndoError(KsError):
    """An edit of a model that cannot be undone, because the model was changed otherwise meanwhile."""


class MissingExtraError(KsError, ImportError):
    """An optional part of the package whose own packages are not installed."""


class AssetError(KsError):
    """A packaged file (model, text) that is missing, cannot be fetched, or has the wrong hash."""
