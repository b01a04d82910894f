"""Where results can be sent: a module for each destination."""
