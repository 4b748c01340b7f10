#!/bin/bash
# Pre-trains a small BERT and a small GPT and draws their learning curves: see docs/benchmarks.md, "Transfer".
#   bench/transfer/run.sh PLINTH OUT [STEP...]
# PLINTH is the program; OUT has what prepare.py wrote, and gets the models and a folder of reports. Steps: bert, gpt, curves, lora; without any all four, about
# three CPU hours, two of them curves from fresh weights.
set -euo pipefail
plinth=$(realpath "$1")
cd "$2"
shift 2

bert() {
	"$plinth" tokenizer train --type wordpiece --vocab 8192 --data corpus --out wordpiece
	"$plinth" data prepare --data corpus --tokenizer wordpiece --seq 128 --validation 0.01 --out bert-data
	time "$plinth" train --family bert --data bert-data --layers 4 --width 128 --heads 4 --no-next-sentence --neighbours --mask 0.3 --dropout 0 \
		--optimizer muon --lr 6e-3 --warmup 100 --batch 32 --steps 4500 --val-every 500 --val-tokens 60000 --out bert
}

gpt() {
	"$plinth" tokenizer train --type bpe --vocab 6144 --data corpus --out bpe
	"$plinth" data prepare --data corpus --tokenizer bpe --seq 128 --validation 0.01 --out gpt-data
	time "$plinth" train --family gpt --data gpt-data --layers 4 --width 128 --heads 4 \
		--optimizer muon --lr 6e-3 --warmup 150 --schedule linear --min-lr 0.02 --batch 16 --steps 3500 --val-every 500 --val-tokens 60000 --out gpt
}

# curve MODEL TASK NAME FLAG...: a report in curves/MODEL-TASK-NAME. --steps 1: the curve is what counts, not the model beside it.
curve() {
	local validation=tasks/$2-dev.csv
	[ "$2" = agnews ] && validation=0.05
	mkdir -p curves
	time "$plinth" adapt --task classify --model "$1" --data "tasks/$2-train.csv" --validation "$validation" --test "tasks/$2-test.csv" --pool mean --steps 1 \
		--threads 1 --curve-steps 240 --out "curves/$1-$2-$3" "${@:4}"
}

# What was pre-trained gets one learning rate, what was not the best of three.
curves() {
	for model in bert gpt; do
		for task in agnews authors mmlu emoji sst2; do
			curve $model $task probe --curve 8,16,32,64 --curve-of probe,bag
			curve $model $task full --curve 16,64 --head probe --curve-rates 3e-4 --curve-of full
			curve $model $task scratch --curve 16,64 --curve-rates 3e-4,1e-3,3e-3 --curve-of scratch
		done
	done
}

# Adapters, with the best of three rates: they take ten times these.
lora() {
	for model in bert gpt; do
		for task in agnews authors; do
			curve $model $task lora --curve 16,64 --head probe --rank 2 --alpha 4 --curve-rates 1e-4,3e-4,1e-3 --curve-of lora
		done
	done
}

steps=("$@")
[ ${#steps[@]} = 0 ] && steps=(bert gpt curves lora)
for step in "${steps[@]}"; do
	"$step"
done
