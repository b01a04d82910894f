#!/usr/bin/env bash
exec vllm serve HuggingFaceTB/SmolLM2-1.7B-Instruct --port "$PORT" --served-model-name "$MODEL_ID"
