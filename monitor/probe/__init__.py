"""The tests that an operator runs, and what they say about a server."""
