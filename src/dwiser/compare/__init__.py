"""Methods side by side on one scan, and one result judged: comparison, tables, evaluation."""
