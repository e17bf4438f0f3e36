#!/usr/bin/env bash
# Builds the images of MemFlow from what is installed and built here: no registry, no network, no BuildKit.
#
# scripts/build-images.sh [--base IMAGE] [--prefix PREFIX] [--tag TAG] [IMAGE...]
#
#   --base    image with Node 24 that all are made from (default: that of the Dockerfiles)
#   --prefix  what stands before an image's name (default: ghcr.io/memflow)
#   --tag     tag of the images (default: the version of the charts)
#   IMAGE     operator, worker, gateway, research-agent (default: all); research-agent is made from worker
#
# Needs `npm ci` before, and Docker, or any builder with its command line named in DOCKER. The folders that are sent to the
# builder stay in node_modules/.cache, so that a change of our sources alone makes one small layer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

base='' prefix=ghcr.io/memflow tag=$(sed -n 's/^version: //p' charts/memflow/Chart.yaml) images=()
while [ $# -gt 0 ]; do
  case $1 in
    --base) base=$2; shift 2 ;;
    --prefix) prefix=$2; shift 2 ;;
    --tag) tag=$2; shift 2 ;;
    operator | worker | gateway | research-agent) images+=("$1"); shift ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
  esac
done
[ ${#images[@]} -gt 0 ] || images=(operator worker gateway research-agent)
docker=${DOCKER:-docker}
stage=node_modules/.cache/memflow-images

build() { # NAME DOCKERFILE [ARGUMENT...]
  local name=$1 dockerfile=$2
  shift 2
  # The plain builder is asked for: it is in every Docker, and it needs nothing from a registry.
  if ! DOCKER_BUILDKIT=0 "$docker" build --tag "$prefix/$name:$tag" --file "$dockerfile" "$@" "$stage/$name" \
    > "$stage/$name.log" 2>&1; then
    cat "$stage/$name.log" >&2
    exit 1
  fi
  echo "$prefix/$name:$tag"
}

sh scripts/with-node.sh node_modules/.bin/tsc -b operator worker-runtime gateway
for image in "${images[@]}"; do
  sh scripts/with-node.sh node scripts/stage-image.ts "$image" "$stage/$image"
  case $image in
    operator) build operator operator/Dockerfile ${base:+--build-arg "BASE_IMAGE=$base"} ;;
    gateway) build gateway gateway/Dockerfile ${base:+--build-arg "BASE_IMAGE=$base"} ;;
    worker) build worker worker-runtime/Dockerfile ${base:+--build-arg "BASE_IMAGE=$base"} ;;
    research-agent)
      build research-agent examples/research-agent/Dockerfile --build-arg "WORKER_IMAGE=$prefix/worker:$tag"
      ;;
  esac
done
