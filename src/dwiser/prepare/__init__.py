"""From a scan to what the chain works on, each step with its inverse."""
