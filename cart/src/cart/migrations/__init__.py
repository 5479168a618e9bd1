"""Cart's schema, revision by revision."""
