"""Checkout: an order from placed to paid or cancelled."""
