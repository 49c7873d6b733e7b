#!/usr/bin/env bash
# Unpacks the arm64 libraries that eke links into build/aarch64-sysroot, with apt's own dependency resolution but neither
# rights nor a foreign architecture in the machine's package database, whose packages stay as they are.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/build/aarch64-sysroot
packages=(libc6-dev libstdc++6 libprotobuf-dev libonnx-dev nlohmann-json3-dev libcli11-dev libfmt-dev libjpeg-dev libpng-dev
  libwebp-dev libgtest-dev libgmock-dev zlib1g-dev)
stamp=$root/packages
[ "$(cat "$stamp" 2>/dev/null)" != "${packages[*]}" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial
touch "$work/status"
apt() {
  apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Dir::State="$work/state" \
    -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User=root "$@"
}
echo "arm64 libraries: fetching"
apt update >/dev/null
apt install -y --no-install-recommends --download-only "${packages[@]}" >/dev/null

rm -rf "$root"
mkdir -p "$root/usr/lib"
ln -s usr/lib "$root/lib"  # the dynamic loader is looked for there
for package in "$work"/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$root"
done
# Absolute links would leave the root.
find "$root" -type l -lname '/*' | while read -r link; do
  ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$root$(readlink "$link")")" "$link"
done
echo "${packages[*]}" >"$stamp"
echo "arm64 libraries: $(ls "$work"/cache/archives/*.deb | wc -l) packages in ${root#"$PWD"/}"
