"""The compose file tried for real: what it promises, asked of the containers that it makes."""
