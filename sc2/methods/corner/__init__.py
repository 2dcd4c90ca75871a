"""The corners of the trade-off: the whole network on the device."""
