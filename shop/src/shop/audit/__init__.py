"""What operators did, and why."""
