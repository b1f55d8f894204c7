"""The poster's tables and figures, run again by anyone: ``python -m reproduce.table1 here``.

One module a result. Each measures at three settings (``smoke``: seconds, for the tests; ``here``:
minutes on one core; ``full``: the poster's size), writes a record to ``docs/results/NAME.json``,
draws its figure from that record alone, and tells in sentences that follow from the record's
numbers by rule what was confirmed. ``python -m reproduce.page`` makes the page of all records.
"""
