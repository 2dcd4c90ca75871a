"""`make grid-check`: every training configuration of a run file, two steps of each phase, then two images by wire."""
