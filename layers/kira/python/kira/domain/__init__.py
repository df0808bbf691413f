"""What is true: records, rules, limits and errors; no input, no output, no framework."""
