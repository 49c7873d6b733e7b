#!/usr/bin/env bash
# What libeke_runtime takes, as it is installed, and which layer takes it: runtime_size.sh [build/release]
# By the linker's map: the bytes of code and data that each layer, and each static library, brought along.
set -euo pipefail
build=${1:-build/release}
library=$(readlink -f "$build/libeke_runtime.so")
echo "libeke_runtime: $(stat -c %s "$library") bytes, of which $(size "$library" | awk 'NR == 2 { print $1 + $2 }') are loaded;" \
  "it needs $(objdump -p "$library" | awk '/NEEDED/ { printf "%s%s", sep, $2; sep = ", " }')"
# An input section: ".name address size file", where a long name stands on a line of its own.
awk '
  function number(hex,  i, n) {
    for (i = 3; i <= length(hex); ++i) n = 16 * n + index("0123456789abcdef", substr(hex, i, 1)) - 1
    return n
  }
  /^Linker script and memory map/ { mapped = 1 }
  !mapped { next }
  /^ \.[^ ]+$/ { name = $1; getline; $0 = " " name $0 }
  /^ \.(text|rodata|data|eh_frame|gcc_except_table|init_array|tbss|tdata|bss)[^ ]* +0x[0-9a-f]+ +0x[0-9a-f]+ / {
    size = number($3)
    if ($2 == "0x0000000000000000" || $1 ~ /^\.bss|^\.tbss/) next
    file = $4
    if (match(file, /libeke_[a-z]+\.a/)) owner = substr(file, RSTART + 7, RLENGTH - 9)
    else if (match(file, /lib[a-z_-]+\.a/)) owner = substr(file, RSTART, RLENGTH)
    else owner = "api and start-up"
    bytes[owner] += size
    if (owner == "kernels" && match(file, /\([a-z0-9_]+\.cpp/)) bytes["  " substr(file, RSTART + 1, RLENGTH - 5)] += size
  }
  END { for (owner in bytes) printf "%9d  %s\n", bytes[owner], owner }' "$build/libeke_runtime.map" | sort -rn
