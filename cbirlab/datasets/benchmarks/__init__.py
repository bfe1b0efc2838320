"""The published benchmarks: what each is, what it needs, where it comes from, who may use it."""
