#!/usr/bin/env bash
# Puts the nine face networks of npm's faceplugin-face-recognition-js@0.0.1 (MIT) into a folder:
#   fetch_face_models.sh FOLDER
set -euo pipefail
folder=${1:?usage: fetch_face_models.sh FOLDER}
package=faceplugin-face-recognition-js@0.0.1
[ -f "$folder/fr_feature.onnx" ] && exit 0
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package" >/dev/null) || { echo "npm cannot fetch $package: is there a network?" >&2; exit 1; }
tar -xzf "$work"/*.tgz -C "$work"
cp "$work"/package/model/*.onnx "$folder/"
