"""The design: models, loading, checking, JSON Schema. Knows nothing of running."""
