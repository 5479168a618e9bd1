"""The rotation of the keys that sign access tokens, without anybody being locked out."""
