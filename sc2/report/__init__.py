"""Tables, figures and the snapshot for readers: everything after measurement, without torch."""
