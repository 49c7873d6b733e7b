#include "base/isa.h"

#include <cpuinfo.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "base/error.h"

namespace eke {
namespace {

struct Name {
  Isa isa;
  std::string_view text;
};
constexpr std::array<Name, 5> kNames{{{Isa::scalar, "scalar"},
                                      {Isa::avx2, "avx2"},
                                      {Isa::avx512vnni, "avx512vnni"},
                                      {Isa::neon, "neon"},
                                      {Isa::neon_dotprod, "neon_dotprod"}}};

std::vector<Isa> detect() {
  std::vector<Isa> found{Isa::scalar};
  if (!cpuinfo_initialize()) return found;
#if defined(__x86_64__)
  const bool avx2 = cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c();
  if (avx2) found.push_back(Isa::avx2);
  if (avx2 && cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512bw() && cpuinfo_has_x86_avx512dq() &&
      cpuinfo_has_x86_avx512vl() && cpuinfo_has_x86_avx512vnni())
    found.push_back(Isa::avx512vnni);
#elif defined(__aarch64__)
  found.push_back(Isa::neon);
  if (cpuinfo_has_arm_neon_dot()) found.push_back(Isa::neon_dotprod);
#endif
  return found;
}

std::string supported_names() {
  std::string names;
  for (const Isa isa : supported_isas()) {
    if (!names.empty()) names += ", ";
    names += to_string(isa);
  }
  return names;
}

}  // namespace

std::string_view to_string(Isa isa) noexcept {
  for (const Name& name : kNames)
    if (name.isa == isa) return name.text;
  return "unknown";
}

std::optional<Isa> parse_isa(std::string_view text) noexcept {
  for (const Name& name : kNames)
    if (name.text == text) return name.isa;
  return std::nullopt;
}

std::span<const Isa> supported_isas() noexcept {
  static const std::vector<Isa> isas = detect();
  return isas;
}

Isa selected_isa() {
  const std::span<const Isa> isas = supported_isas();
  const char* forced = std::getenv("EKE_ISA");
  if (!forced || !*forced) return isas.back();
  const std::optional<Isa> wanted = parse_isa(forced);
  for (const Isa isa : isas)
    if (isa == wanted) return isa;
  throw UsageError(fmt::format("EKE_ISA names '{}', which {}; choose one of: {}", forced,
                               wanted ? "this machine cannot run" : "is not a tier", supported_names()));
}

}  // namespace eke
