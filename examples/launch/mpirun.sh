#!/bin/sh
# Sixteen ranks on the hosts of a file. On several machines the ranks must be told where rank 0 is;
# --bind-to none leaves the cores to --pin.
mpirun -n 16 --hostfile hosts --bind-to none -x MASTER_ADDR=node1 \
  galvatron train --model llama2-7b --plan plan.json --data corpus \
  --save save --save-interval 500 --resume auto
