"""Values -> text that carries them whole: shell words, YAML, Markdown; and Jinja environments."""
