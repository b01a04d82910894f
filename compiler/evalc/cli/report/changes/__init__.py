"""How two bundles differ: for people, for programs, and for pull requests."""
