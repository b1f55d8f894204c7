"""Di-Fusion's Markov chain: pure functions of arrays, no network, no file, no device.

Read in this order: ``schedule`` (ᾱ), ``fusion`` (how a training pair becomes x_t),
``posterior`` (one jump), ``transition`` (the next state), ``walk`` (which steps), ``stop`` (when a
slice is done), ``sample`` (all of it, over batches of slices).
"""
