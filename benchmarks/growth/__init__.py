"""Whether it stays as fast as it grows: the same work among 10,000 to 10,000,000 objects."""
