"""Events, steps and calls: what a service declares of a saga."""
