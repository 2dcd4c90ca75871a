"""The server halves behind HTTP."""
