"""Auth's schema, revision by revision."""
