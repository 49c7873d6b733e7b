#!/usr/bin/env bash
# Checks that the sources keep the rules of the house:
#   includes go downward, as the DEPENDS of src/CMakeLists.txt say;
#   kernel files include intrinsics, <cstdint>, <cstddef> and headers of the kernels only;
#   no layer below the command prints, exits or aborts;
#   nothing is left marked as unfinished, or half merged.
set -euo pipefail
cd "$(dirname "$0")/.."

sources() { git ls-files --cached --others --exclude-standard "$@"; }

includes=$(sources 'src/*.cpp' 'src/*.h' | xargs awk '
  FILENAME == "src/CMakeLists.txt" { next }
  match($0, /^[ \t]*#[ \t]*include[ \t]*"[^"]+"/) {
    path = $0; sub(/^[^"]*"/, "", path); sub(/".*/, "", path); print FILENAME ":" FNR, path }')

failed=0
report() { [ -z "$1" ] || { echo "$1"; failed=1; }; }

report "$(awk '
  # Reads eke_layer(name DEPENDS a b LIBRARIES ...); a layer sees what its dependencies see.
  FNR == NR {
    if (!match($0, /^eke_layer\(/)) next
    line = $0; gsub(/[()]/, " ", line); n = split(line, word, /[ \t]+/)
    layer = word[2]; known[layer] = 1; allowed[layer, layer] = 1; in_depends = 0
    for (i = 3; i <= n; i++) {
      if (word[i] == "DEPENDS") { in_depends = 1; continue }
      if (word[i] == "LIBRARIES") in_depends = 0
      if (!in_depends || word[i] == "") continue
      if (!(word[i] in known)) print "src/CMakeLists.txt: layer " layer " depends on " word[i] ", which is not declared before it"
      for (other in known) if ((word[i], other) in allowed) allowed[layer, other] = 1
    }
    next
  }
  {
    split($1, place, ":"); split(place[1], part, "/"); split($2, target, "/")
    from = part[2]; to = target[1]
    if (to == "eke") next  # public headers
    if (!(from in known)) { print $1 ": src/" from " is not a layer of src/CMakeLists.txt"; next }
    if (!(to in known)) { print $1 ": include \"" $2 "\" does not start with a layer"; next }
    if (!((from, to) in allowed)) print $1 ": layer " from " may not include " $2
  }' src/CMakeLists.txt <(printf '%s\n' "$includes"))"

tiers='(scalar|avx2|avx512vnni|neon|neon_dotprod|i8mm)'
kernels=$(sources 'src/kernels/*.cpp' | grep -E "/$tiers\.cpp$" || true)
if [ -n "$kernels" ]; then
  report "$(echo "$kernels" | xargs grep -nHE '^\s*#\s*include' |
    grep -vE '<(immintrin\.h|arm_neon\.h|cstdint|cstddef)>|"kernels/' |
    sed 's/$/   (kernel files include intrinsics, <cstdint>, <cstddef> and kernel headers only)/')"
fi

library=$(sources 'src/*.cpp' 'src/*.h' | grep -vE '^src/cli/|_(test|bench|fuzz)\.cpp$' || true)
report "$(echo "$library" | xargs -r grep -nHE \
  'std::(cout|cerr|clog|exit|abort|quick_exit|terminate)\b|[^a-z_](f?printf|fputs|puts|exit|_exit|abort)\(|^#include <iostream>' |
  sed 's/$/   (the library never prints, exits or aborts)/')"

# In brackets, so that this file keeps the rule too.
report "$(sources | grep -E '\.(cpp|h|cmake|sh|mjs|inc)$|^Makefile$|^\.ci/run$|CMakeLists\.txt$' |
  xargs grep -nHE '\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b' || true)"

report "$(git grep -nE '^(<<<<<<<|>>>>>>>)( |$)' | sed 's/$/   (a merge left this)/')"

[ $failed = 0 ] || { echo "the rules: ARCHITECTURE.md" >&2; exit 1; }
echo "layers: $(echo "$includes" | grep -c .) includes go downward; library and markers clean"
