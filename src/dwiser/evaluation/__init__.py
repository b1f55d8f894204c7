"""How good is a denoised scan: with truth, without truth, on held-out volumes and on repeats."""
