"""Neural input compression: learned image codecs in front of a whole reference model (spec 1.3)."""
