"""Many scans: a plan, one function that denoises one of them, and executors to carry it out."""
