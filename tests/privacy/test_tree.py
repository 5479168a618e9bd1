"""The repository holds no secret: not one that was made for it, and nothing that looks like anybody's."""

import re
import subprocess

import pytest

from shop.machine import project_root

LARGEST = 1024 * 1024
SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}",
    "a private JWK": r'"d"\s*:\s*"[\w-]{40,}"',
    "a Stripe key": r"\b(?:sk|rk)_(?:live|test)_[0-9a-zA-Z]{16,}|\bwhsec_[0-9a-zA-Z]{24,}",
    "an access key of AWS": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a token of GitHub": r"\b(?:gh[pousr]_\w{36,}|github_pat_\w{40,})",
    "a token of Slack": r"\bxox[abprs]-[\w-]{10,}",
    "a Google API key": r"\bAIza[\w-]{35}\b",
    "a Fernet key": r"(?<![\w/+=-])[\w-]{43}=(?![\w=])",
    "a token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    "a password in a URL": r"\b[a-z][a-z0-9+.-]*://[^\s/:@\"'`{}<>\[\]$]+:[^\s/:@\"'`{}<>\[\]$%]{8,}@",
    "a password hash": r"\$argon2id\$v=\d+\$[\w=,]+\$[\w+/]{16,}|password_hash\"\s*:\s*\"[\w+/=]{20,}",
}

# In pieces, so that they are not found themselves.
SAMPLES = {
    "a private key": ("-----BEGIN EC PRIVATE KEY", "-----\n", "A" * 64),
    "a private JWK": ('"d": "', "A" * 43, '"'),
    "a Stripe key": ("sk_live_", "0" * 24),
    "an access key of AWS": ("AKIA", "A" * 16),
    "a token of GitHub": ("ghp_", "a" * 36),
    "a token of Slack": ("xoxb-", "1" * 12),
    "a Google API key": ("AIza", "a" * 35),
    "a Fernet key": ("key: ", "A" * 43, "="),
    "a token": ("eyJ", "a" * 20, ".eyJ", "a" * 20, ".", "a" * 20),
    "a password in a URL": ("amqp://order:", "0123456789", "@rabbitmq/"),
    "a password hash": ("$argon2id$", "v=19$m=19456,t=2,p=1$", "a" * 22),
}


@pytest.fixture(scope="module")
def tree() -> dict[str, str]:
    """Every file that is or would be committed."""
    root = project_root()
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    files = [root / name for name in listed.stdout.split("\0") if name]
    small = [file for file in files if file.is_file() and file.stat().st_size <= LARGEST]
    return {str(file.relative_to(root)): file.read_text(errors="replace") for file in small}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_planted_value_would_be_found(kind: str) -> None:
    assert re.search(SECRETS[kind], "".join(SAMPLES[kind]))


@pytest.mark.parametrize("kind", SECRETS)
def test_the_repository_holds_no(kind: str, tree: dict[str, str]) -> None:
    places = {
        f"{name}:{text.count(chr(10), 0, found.start()) + 1}"
        for name, text in tree.items()
        for found in re.finditer(SECRETS[kind], text)
    }
    assert places == set()
