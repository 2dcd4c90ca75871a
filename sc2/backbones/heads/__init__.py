"""What follows a body for a dense task: one file per task, each with `attach(model, num_classes, **args)`."""
