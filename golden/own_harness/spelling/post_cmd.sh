#!/usr/bin/env bash
echo "done with $ENDPOINT_TYPE"
