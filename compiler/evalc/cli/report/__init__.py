"""What is found, as text: pure functions, one module a format."""
