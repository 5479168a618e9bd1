"""What a service declares of a saga: its events, its steps and its remote calls."""
