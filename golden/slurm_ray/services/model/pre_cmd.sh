#!/usr/bin/env bash
export NCCL_SOCKET_IFNAME=ib0
