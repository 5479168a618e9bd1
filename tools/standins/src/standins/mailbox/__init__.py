"""A mail provider that delivers to itself: SMTP in, a page and a small API out."""
