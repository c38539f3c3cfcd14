#!/bin/sh
# Eight ranks on this machine. The same command starts the job and goes on with it.
galvatron train --model llama2-7b --plan plan.json --data corpus \
  --nproc 8 --pin numa --save save --save-interval 500 --resume auto
