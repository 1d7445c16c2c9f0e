"""The same work by other libraries, each in its own idiom; nothing outside needs any of them."""
