#!/usr/bin/env bash
export PYTHONUNBUFFERED=1
