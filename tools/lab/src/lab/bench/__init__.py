"""What a checkout costs, measured on a private stack: rate, CPU per program, latency, resident memory."""
