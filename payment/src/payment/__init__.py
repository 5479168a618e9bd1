"""Payment: takes an order's money, and gives it back, by the payment provider."""
