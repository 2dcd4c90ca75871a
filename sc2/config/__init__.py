"""What a configuration may say, and how an error in it reads. Nothing here imports torch."""
