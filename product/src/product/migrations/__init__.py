"""Product's schema, revision by revision."""
