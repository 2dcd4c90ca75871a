"""Input compression with an image codec: the device compresses the image, the server runs the whole teacher."""
