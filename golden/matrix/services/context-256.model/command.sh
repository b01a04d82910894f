#!/usr/bin/env bash
exec python3 "$FILES_DIR/serve.py" --port "$PORT" --context 256
