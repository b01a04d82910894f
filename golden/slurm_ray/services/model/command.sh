#!/usr/bin/env bash
exec vllm serve /checkpoint \
  --tensor-parallel-size=8 \
  --pipeline-parallel-size=2 \
  --data-parallel-size=1 \
  --port 8000 \
  --trust-remote-code \
  --served-model-name deepseek-v3.2 \
  --gpu-memory-utilization 0.95 \
  --distributed-executor-backend ray
