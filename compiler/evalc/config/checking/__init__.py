"""What a schema can say about a composed config, as located problems."""
