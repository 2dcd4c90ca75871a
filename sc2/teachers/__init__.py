"""Teachers: trained here, or fetched by hash."""
