#!/usr/bin/env bash
pip install --quiet 'evalc[wandb]'
