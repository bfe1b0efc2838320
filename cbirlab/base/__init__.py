"""Base: what all other rooms build on: declared parameters, registries, methods, texts, progress, downloads."""
