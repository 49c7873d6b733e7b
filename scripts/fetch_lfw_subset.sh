#!/usr/bin/env bash
# Puts the 100 faces of scikit-image's lfw_subset.npy (25x25 grey) into a folder as PGM files: fetch_lfw_subset.sh FOLDER
# Taken from the installed python3-skimage, else out of Debian's package without installing it.
set -euo pipefail
folder=${1:?usage: fetch_lfw_subset.sh FOLDER}
[ -f "$folder/face099.pgm" ] && exit 0
array=/usr/lib/python3/dist-packages/skimage/data/lfw_subset.npy
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ ! -f "$array" ]; then
  chmod 755 "$work"
  (cd "$work" && apt-get download -q python3-skimage >&2) || { echo "cannot fetch Debian's python3-skimage" >&2; exit 1; }
  dpkg-deb -x "$work"/python3-skimage_*.deb "$work/package"
  array=$(find "$work/package" -name lfw_subset.npy)
  [ -f "$array" ] || { echo "this python3-skimage ships no lfw_subset.npy" >&2; exit 1; }
fi
start=$((10 + $(od -An -tu2 -j8 -N2 "$array")))
[[ $(head -c "$start" "$array") == *"'<f8'"*"(200, 25, 25)"* ]] 2>/dev/null || { echo "$array: another shape than 200 faces of 25x25" >&2; exit 1; }
mkdir -p "$folder"
# The first half are faces, the second half are not.
od -An -v -tf8 -w5000 -j"$start" -N$((100 * 5000)) "$array" | awk -v folder="$folder" '{
  file = sprintf("%s/face%03d.pgm", folder, NR - 1)
  print "P2\n25 25\n255" > file
  for (i = 1; i <= NF; i++) printf "%d%s", int($i * 255 + 0.5), i % 25 ? " " : "\n" > file
  close(file) }'
