#!/usr/bin/env bash
module load apptainer/1.3
export APPTAINER_CACHEDIR=/lustre/nlp/apptainer
