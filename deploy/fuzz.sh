#!/usr/bin/env bash
# Fuzzes every Fuzz target of the module, one after the other. Go fuzzes one
# target of one package at a time. Usage: deploy/fuzz.sh [time per target, or inputs as
# in 20000x; default 5s]
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-5s}

git grep -n --untracked -E '^func Fuzz[A-Z]' -- '*_test.go' | while IFS=: read -r file _ line; do
  target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]+).*/\1/' <<<"$line")
  echo "fuzz $target in ./$(dirname "$file")"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$(dirname "$file")" </dev/null
done
