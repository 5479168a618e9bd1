"""The rotation of the services' passwords for PostgreSQL and RabbitMQ while the shop is open."""
