"""Learning from pairs: batches, the loop, budgets of time, batched evaluation."""
