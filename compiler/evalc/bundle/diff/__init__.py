"""How two bundles differ: first what means something, then the text.

:func:`meaning` is made from the two plans and manifests, as values of the :class:`Change` class;
:func:`texts` is the unified diff of the files.
"""

from evalc.bundle.diff.change import MISSING, Change, Of
from evalc.bundle.diff.facts import Facts, facts_of
from evalc.bundle.diff.meaning import meaning
from evalc.bundle.diff.sides import Side, read_side, side_of
from evalc.bundle.diff.text import FileDifference, texts

__all__ = [
    "MISSING",
    "Change",
    "Facts",
    "FileDifference",
    "Of",
    "Side",
    "facts_of",
    "meaning",
    "read_side",
    "side_of",
    "texts",
]
