#!/bin/bash
# sbatch slurm_sbatch.sh: one node without srun. The script's own process starts the ranks.
#SBATCH --job-name=galvatron
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --gpus=8
#SBATCH --cpus-per-task=96
#SBATCH --time=24:00:00
#SBATCH --output=%x-%j.out

galvatron train --model llama2-7b --plan plan.json --data corpus \
  --nproc 8 --save save --save-interval 500 --resume auto
