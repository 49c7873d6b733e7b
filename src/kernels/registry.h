// How a family lists its kernels: an array of rows, best first, made from its kernels.inc, and the first row
// that a tier can run. Each family's own registry.h gives its rows.
#pragma once

#include <span>

#include "base/isa.h"

namespace eke::kernels {

// True when code of tier `tier` may run where `isa` was selected.
constexpr bool runs_on(Isa tier, Isa isa) noexcept {
  const auto x86 = [](Isa i) { return i >= Isa::avx2 && i <= Isa::avx512bf16; };
  if (tier == Isa::avxvnni) return isa == tier;
  return tier == Isa::scalar || (tier <= isa && x86(tier) == x86(isa));
}

// The first row that runs on `isa`. The last row of every family is scalar, so there is one.
template <class Kernel>
const Kernel& select(std::span<const Kernel> rows, Isa isa) noexcept {
  for (const Kernel& row : rows)
    if (runs_on(row.isa, isa)) return row;
  return rows.back();
}

}  // namespace eke::kernels
