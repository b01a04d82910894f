#!/usr/bin/env bash
module purge
module load cuda/12.4 python/3.11
export PATH=/lustre/nlp/venvs/evaluation/bin:$PATH
export HF_HOME=/lustre/nlp/huggingface
