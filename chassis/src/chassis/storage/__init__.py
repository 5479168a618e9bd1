"""The service's database: inbox, outbox, and statements past the ORM."""
