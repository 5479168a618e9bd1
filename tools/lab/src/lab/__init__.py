"""What is done to a shop to learn how it holds: load, faults, invoices, scenarios, the compose file."""
