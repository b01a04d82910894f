"""Plan -> artifacts, one package a backend."""
