"""The corners of the trade-off: all of the network on the device."""
