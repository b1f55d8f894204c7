"""Many scans: a plan, one function that denoises one of them, and hands to carry it out."""
