"""From a scan to the arrays that methods work on: mask, noise, shells, scaling, pairs."""
