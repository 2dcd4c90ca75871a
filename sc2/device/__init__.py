"""The device half without torch: an artifact of files, and what turns an image into a payload with it."""
