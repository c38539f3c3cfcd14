#!/usr/bin/env bash
# From nothing to a trained model on this machine, one command after the other, each as a user would type it. The text is
# the source of the Python standard library that is installed: real, and there without a download.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/build/release/bin:$PWD/.venv/bin:$PATH"

out=${QUICKSTART_DIR:-quickstart-run}
model=gpt2-quickstart
world=8 seq=256 batch=16 steps=${QUICKSTART_STEPS:-80}
# Less than a plain data-parallel plan needs, so the search has something to find.
memory=${QUICKSTART_MEMORY:-150MiB}
mkdir -p "$out"

step() { printf '\n\033[1m%s\033[0m\n' "$1"; }
run() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

step "1. Text to tokens: the Python standard library, with a tokenizer trained on it"
[ -e "$out/stdlib.idx" ] || run galvatron-data stdlib --output "$out/stdlib" --train-bpe 4096 --max-bytes 12MB

step "2. Measure this machine: $world ranks"
[ -e "$out/hardware.json" ] || run galvatron profile-hardware --nproc $world --output "$out/hardware.json"

step "3. Measure the model, layer kind by layer kind"
[ -e "$out/model.json" ] || run galvatron profile-model --model $model --seq-length $seq --precision fp32 --nproc $world --output "$out/model.json"

step "4. What plain data parallelism would take"
cat > "$out/data-parallel.json" <<PLAN
{"format": "galvatron-plan", "version": 1, "model": "$model", "world_size": $world, "global_batch": $batch,
 "precision": "fp32", "layers": [{"count": 8}]}
PLAN
run galvatron simulate --model $model --plan "$out/data-parallel.json" --hardware "$out/hardware.json" \
  --profile "$out/model.json" --memory $memory

step "5. Search the fastest plan in $memory for each rank"
run galvatron search --model $model --hardware "$out/hardware.json" --profile "$out/model.json" \
  --world-size $world --memory $memory --global-batch $batch --seq-length $seq --precision fp32 \
  --output "$out/plan.json"

step "6. Train with it"
rm -rf "$out/run"  # of an earlier quickstart: training does not write over another run
run galvatron train --model $model --plan "$out/plan.json" --data "$out/stdlib" --nproc $world --steps $steps \
  --seq-length $seq --global-batch $batch --precision fp32 --lr 1e-3 --warmup-steps 10 --run-dir "$out/run"

step "7. Report"
run galvatron report "$out/run" --output "$out/report.html"
echo "Report: $PWD/$out/report.html"
