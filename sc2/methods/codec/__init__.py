"""Input compression with an image codec: the device compresses the image, the server does the rest."""
