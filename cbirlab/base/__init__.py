"""Base: what every room stands on: declared parameters, registries, methods, texts, progress, downloads."""
