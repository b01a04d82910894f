"""Runs bundles: brings them to a host, starts, follows and stops jobs, fetches results."""
