"""The models of the configuration files, how they are loaded, and how errors in them are reported. No torch."""
