"""Real invoices replayed as checkouts: what each becomes is decided first, then they are played in order."""
