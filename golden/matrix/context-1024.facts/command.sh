#!/usr/bin/env bash
exec python3 "$FILES_DIR/evaluate.py" facts
