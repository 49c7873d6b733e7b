#!/usr/bin/env bash
# Installs the Debian packages that a task needs and that are missing: setup.sh build|demo|browser|ci|arm
# Where everything is there already it changes nothing and needs neither network nor rights.
set -euo pipefail

build=(build-essential cmake ninja-build pkg-config libprotobuf-dev protobuf-compiler libonnx-dev
  libonnx-testdata nlohmann-json3-dev libcli11-dev libfmt-dev libjpeg-dev libpng-dev libwebp-dev
  libgtest-dev libgmock-dev zlib1g-dev libjs-chart.js)
ci=(clang clang-format libclang-rt-dev)
arm=(g++-aarch64-linux-gnu qemu-user)

case "${1:-build}" in
  build) wanted=("${build[@]}") ;;
  ci) wanted=("${build[@]}" "${ci[@]}") ;;
  arm) wanted=("${build[@]}" "${arm[@]}") ;;
  demo | browser)
    wanted=("${build[@]}")
    [ "$1" = demo ] && wanted+=(dataset-fashion-mnist) || wanted+=(chromium)
    # Node's own packages bring npm along; Debian's are two.
    command -v node >/dev/null || wanted+=(nodejs)
    command -v npm >/dev/null || wanted+=(npm)
    ;;
  *) echo "usage: $0 build|demo|browser|ci|arm" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "missing packages: ${missing[*]}; install them as root: apt-get install ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
