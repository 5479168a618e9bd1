"""The service's database: transactions, inbox, outbox, and raw SQL."""
