"""The poster's tables and figures, run again by anyone: ``python -m reproduce.table1 here``.

One module a result. Each measures at four settings (``smoke``: seconds, for the tests; ``here``:
minutes on one core; ``gpu``: the same data with the paper's network and its passes over the scan,
minutes on one card; ``full``: the poster's size), writes a record to ``docs/results/NAME.json``,
draws its figure from that record alone, and tells in sentences that follow from the record's
numbers by rule what was confirmed. ``python -m reproduce.page`` makes the page of all records.
"""
