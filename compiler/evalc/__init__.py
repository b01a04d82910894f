"""evalc: a compiler for LLM-evaluation launches."""

__version__ = "0.1.0"
