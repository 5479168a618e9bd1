"""The page that shows the public API of the shop and lets a visitor try it through the gateway."""
