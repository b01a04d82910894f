#!/usr/bin/env bash
python3 "$FILES_DIR/spelling.py" --data "$NEMO_EVALUATOR_DATASET_DIR" --limit "$LIMIT_SAMPLES"
