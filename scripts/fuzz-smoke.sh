#!/usr/bin/env bash
# Builds the fuzzers (in build-asan/) and runs each of them in turn, SECONDS (60) in total.
# The canary must crash, which proves that the harness finds what is planted; no other may.
# Usage: scripts/fuzz-smoke.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
if ! [[ $seconds =~ ^[1-9][0-9]*$ ]]; then
  echo "fuzz: SECONDS must be a whole number above 0, not \"$seconds\"" >&2
  exit 2
fi
build=build-asan
targets=()
for source in native/fuzz/*_fuzz.cc native/fuzz/*/*_fuzz.cc; do
  name=$(basename "$source" .cc)
  [[ $name == canary_fuzz ]] || targets+=("$name")
done

node scripts/build.mjs --fuzz

# Seeds are hexadecimal text; new inputs that reach new code stay in the corpus between runs.
seed() {
  local file corpus=$build/corpus/$1
  mkdir -p "$corpus" $build/artifacts
  for file in native/fuzz/seeds/"$1"/*.hex; do
    [[ -e $file ]] || continue
    # shellcheck disable=SC2059  # the format is the seed
    printf "$(sed 's/\(..\)/\\x\1/g' "$file" | tr -d '\n')" >"$corpus/$(basename "$file" .hex)"
  done
}
run() { # target, seconds: libFuzzer's own exit code, its words in the log
  local log=$build/$1.log
  $build/"$1" -max_total_time="$2" -timeout=5 -rss_limit_mb=1024 -max_len=4096 \
    -artifact_prefix=$build/artifacts/"$1"- -print_final_stats=1 $build/corpus/"$1" >"$log" 2>&1
}
stat_of() { sed -n "s/^stat::$2: *//p" $build/"$1".log; }

failed=0
rm -rf $build/corpus/canary_fuzz $build/artifacts
seed canary_fuzz
start=$(date +%s)
if run canary_fuzz 30; then
  echo "canary_fuzz  NOT FOUND: the planted out-of-bounds read went unseen"
  failed=1
elif grep -q 'heap-buffer-overflow' $build/canary_fuzz.log; then
  echo "canary_fuzz  found as planted after $(stat_of canary_fuzz number_of_executed_units) runs"
else
  echo "canary_fuzz  FAILED otherwise than planted: see $build/canary_fuzz.log"
  failed=1
fi
each=$(((seconds - ($(date +%s) - start)) / ${#targets[@]}))
[[ $each -ge 1 ]] || each=1

for target in "${targets[@]}"; do
  seed "$target"
  if run "$target" "$each"; then
    echo "$target  $(stat_of "$target" number_of_executed_units) runs in $each s, clean"
  else
    failed=1
    echo "$target  FAILED:"
    grep -m 3 -E 'ERROR|SUMMARY|runtime error|deadly signal' $build/"$target".log || true
    grep -m 1 'Test unit written to' $build/"$target".log || tail -n 5 $build/"$target".log
  fi
done
if [[ $failed -ne 0 ]]; then
  echo "fuzz: FAILED"
  exit 1
fi
echo "fuzz: ${#targets[@]} targets clean"
