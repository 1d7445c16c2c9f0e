"""Write leases: granting, holding, ending and waiting for them, and their log."""
