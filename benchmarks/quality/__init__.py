"""What is served of near-duplicates, how much of it wrongly, and what a bound on that costs."""
