#!/usr/bin/env bash
# The wheel, installed over the lock with --no-deps in a bare environment away from the checkout: do init, serve and worker work?
set -euo pipefail
python=${1:-python3}
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

"$here/.venv/bin/python" -m build --wheel --no-isolation --outdir "$work/dist" "$here" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
"$python" -m venv "$work/venv"
pip=("$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all:)
"${pip[@]}" --require-hashes -r "$here/requirements.lock"
"${pip[@]}" "$work"/dist/*.whl
if "$work/venv/bin/python" -c 'import torch' 2>/dev/null; then echo "torch is installed"; exit 1; fi
size=$(du -sm "$work/venv" | cut -f1)
echo "installed size: $size MB"
[ "$size" -lt 1200 ] || { echo "more than 1,200 MB"; exit 1; }

mkdir "$work/away" && cd "$work/away"
export DATA_FOLDER="$work/data" BIND=127.0.0.1:8423 PUBLIC_URL=http://127.0.0.1:8423 MAIL_TRANSPORT=mailbox HOLD_MINUTES=0
unset DATABASE_URL SECRET_KEY || true
loop="$work/venv/bin/feedback-loop"
"$loop" --version
"$loop" init --admin-email ada@example.com --admin-password "a long enough password"
"$loop" init | grep -q "admin already"
printf 'external_id,score,comment\n1,no,The search finds nothing.\n2,yes,Quick and friendly.\n' >answers.csv
"$loop" import answers.csv --survey help-centre
"$loop" serve & pids+=($!)
"$loop" worker & pids+=($!)
for _ in $(seq 100); do
  if curl --silent --fail --output page.html http://127.0.0.1:8423/s/help-centre; then break; fi
  sleep 0.2
done
grep -q "Was this helpful?" page.html
curl --silent --fail --output /dev/null http://127.0.0.1:8423/static/vendor/simple.css
for _ in $(seq 100); do
  "$loop" export statements statements.csv >/dev/null
  if [ "$(wc -l <statements.csv)" -ge 3 ]; then break; fi
  sleep 0.5
done
grep -q "The search finds nothing." statements.csv
"$loop" demo --check | tail -n 1
echo "wheel: init, import, serve, worker, export and demo work away from the checkout"
