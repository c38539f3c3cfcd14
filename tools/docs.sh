#!/usr/bin/env bash
# Builds the docs as a site: site/index.html, which opens without a server. Warnings are errors, and every link is followed.
#   tools/docs.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
site=$(realpath -m "${1:-site}")
tools/setup.sh docs
export NO_MKDOCS_2_WARNING=1 PYTHONDONTWRITEBYTECODE=1 # docs/design/dependencies.md says what comes after this builder
.venv-docs/bin/python tools/site/stage.py
.venv-docs/bin/mkdocs build --quiet --strict --clean --config-file build/docs/en.yml --site-dir "$site"
.venv-docs/bin/mkdocs build --quiet --strict --clean --config-file build/docs/zh.yml --site-dir "$site/zh"
.venv-docs/bin/python tools/site/built_site.py "$site"
echo "Docs: $site/index.html"
