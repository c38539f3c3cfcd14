#!/bin/sh
# No scheduler: ssh starts the ranks on the machines in `hosts`. All of them need the same galvatron
# at the same path, and this folder. Ctrl-C saves and ends the job everywhere.
galvatron train --model llama2-7b --plan plan.json --data corpus \
  --hostfile hosts --save save --save-interval 500 --resume auto
