// Instruction-set tiers. A kernel file belongs to one tier; the tier is picked once for a process.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace eke {

// Ordered within an architecture: a machine that supports a tier supports those before it, but for avxvnni, which some of
// those with avx512vnni lack.
enum class Isa { scalar, avx2, avxvnni, avx512vnni, avx512bf16, neon, neon_dotprod, i8mm };

std::string_view to_string(Isa isa) noexcept;
std::optional<Isa> parse_isa(std::string_view name) noexcept;

// Tiers that this machine can run and this build contains, scalar first.
std::span<const Isa> supported_isas() noexcept;

// The best supported tier, or the one that the environment variable EKE_ISA names. Throws UsageError when that
// name is unknown or the machine cannot run it; the message lists the supported tiers.
Isa selected_isa();

}  // namespace eke
