"""HTTP: problems, access tokens, idempotency keys, OpenAPI."""
