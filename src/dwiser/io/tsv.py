"""Tables as tab-separated text, as BIDS has them: a heading, a line a row, ``n/a`` for nothing."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

NOT_AVAILABLE = "n/a"


def tsv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table's text.

    Parameters
    ----------
    head : the names of the columns.
    rows : the cells of each; None is written as ``n/a``.

    Returns
    -------
    str

    Examples
    --------
    >>> from dwiser.io.tsv import tsv_text
    >>> tsv_text(("method", "sd"), [("splitq", 0.5), ("identity", None)])
    'method\\tsd\\nsplitq\\t0.5\\nidentity\\tn/a\\n'
    """
    text = StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(head)
    writer.writerows([NOT_AVAILABLE if cell is None else cell for cell in row] for row in rows)
    return text.getvalue()
