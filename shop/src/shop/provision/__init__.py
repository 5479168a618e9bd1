"""What the shop needs before its services can start: secrets, roles and databases, the broker's topology."""
