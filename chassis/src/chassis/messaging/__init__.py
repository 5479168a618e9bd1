"""Messages, and the broker that delivers them."""
