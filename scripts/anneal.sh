#!/usr/bin/env bash
# Annealing-KD in two runs: regression on the teacher, then gold labels from its best checkpoint.
#
# usage: ./scripts/anneal.sh DATA OUTPUT MODEL UPDATES TEACHER [fairseq-train flags]
#
#   OUTPUT   gets stage1/ and stage2/, folders of checkpoints
#   MODEL    file of configs/models; its --max-update is the length of stage II
#   UPDATES  length of stage I
#   TEACHER  checkpoint(s), separated by colons
#
# The best checkpoint of stage I is the one with the highest BLEU on the valid set; stage II starts
# from it with a fresh optimizer. Flags go to both runs. Run again it resumes. `annealing_kd` alone
# does both stages in one run.
#
# example: ./scripts/anneal.sh work/toy/bin work/toy/annealing configs/models/toy-student.args 300 \
#              work/toy/teacher/checkpoint_last.pt --label-smoothing 0.1 --seed 1

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 5 ] || die "give DATA, OUTPUT, MODEL, UPDATES and TEACHER; see --help"
data="$1" output="$2" model="$3" updates="$4" teacher="$5"
shift 5

child "$ROOT/scripts/train.sh" "$data" "$output/stage1" "$model" "$@" --criterion annealing_kd \
    --teacher-path "$teacher" --anneal-updates "$updates" --max-update "$updates" \
    --eval-bleu --eval-bleu-remove-bpe sentencepiece --eval-bleu-args '{"beam":5}' \
    --best-checkpoint-metric bleu --maximize-best-checkpoint-metric
best="$(fairseq-kd checkpoint "$output/stage1" --rule best-bleu)"
child "$ROOT/scripts/train.sh" "$data" "$output/stage2" "$model" "$@" --finetune-from-model "$best"
