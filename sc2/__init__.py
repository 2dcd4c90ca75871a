"""SC2 and variable bit-rate bottlenecks, reproduced: every figure rebuilt and traceable to its inputs."""
