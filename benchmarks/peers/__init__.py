"""The same work by other libraries, each in its own idiom; nothing else here needs any of them."""
