"""Channel reduction and quantisation: few channels, 8 bits each, no entropy coder."""
