"""A payment provider that speaks Stripe's wire format, keeps its promises and breaks its calls on request."""
