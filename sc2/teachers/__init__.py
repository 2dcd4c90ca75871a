"""Reference models: trained here, or fetched by hash."""
