#!/bin/sh
# Run on each of two machines. --no-python: galvatron is a program, not a script. torchrun numbers the
# ranks and serves their store, and starts all of them anew when one fails: --resume auto goes on
# from the last checkpoint.
torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint node1:29400 \
  --max-restarts 3 --no-python \
  galvatron train --model llama2-7b --plan plan.json --data corpus \
  --save save --save-interval 500 --resume auto
