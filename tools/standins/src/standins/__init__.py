"""The outside world, played on this machine: a gateway, a payment provider and a mail provider."""
