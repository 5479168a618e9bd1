"""What PostgreSQL keeps of a password, made here: the password itself is in no statement and in no log."""

import hashlib
import hmac
import secrets
import unicodedata
from base64 import b64encode

_ITERATIONS = 4096  # as PostgreSQL itself has it; every login pays for them


def verifier(password: str) -> str:
    """A SCRAM-SHA-256 secret. Source: RFC 5803."""
    salt = secrets.token_bytes(16)
    prepared = unicodedata.normalize("NFKC", password).encode()
    salted = hashlib.pbkdf2_hmac("sha256", prepared, salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    encoded = (b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *encoded)
