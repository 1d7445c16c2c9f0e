"""Write leases: granted, held, ended, waited for, and kept in a log of lines."""
