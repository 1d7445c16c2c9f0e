"""SQL text: the catalogue of statements, a lexer, and what is built on it."""
