"""Data sets: how they are made (one file per kind), stored (`store`), and fed to a network (`images`)."""
