"""How an answer is drawn over its image: one module per task, with its name, that has `draw`."""
