#!/bin/sh
# Runs a command on the Node of this workspace: sh scripts/with-node.sh COMMAND...
#
# npm installs that Node as a platform package (see docs/dependencies.md). npm 11 links it into node_modules/.bin, npm 10
# does not, so every script of package.json passes through here: the program's folder goes first on PATH, for the
# command and for all that it starts. Without the platform package the Node on PATH must be new enough.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

for program in "$root"/node_modules/node-*/bin/node; do
  if [ -x "$program" ]; then
    PATH="$(dirname -- "$program"):$PATH"
    export PATH
    exec "$@"
  fi
done

if ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 0 : 1)'; then
  echo "memflow: the Node on PATH is $(node --version), need 24 or newer; run \"npm ci\", which brings it" >&2
  exit 1
fi
exec "$@"
