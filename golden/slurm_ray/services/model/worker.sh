#!/usr/bin/env bash
exec ray start \
  --block \
  --address="${MASTER_IP}":6379 \
  --node-manager-port=8266 \
  --object-manager-port=8267 \
  --metrics-export-port=8269 \
  --dashboard-agent-grpc-port=8270 \
  --dashboard-agent-listen-port=8271 \
  --runtime-env-agent-port=8272
