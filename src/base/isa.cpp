#include "base/isa.h"

#include <fmt/format.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

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
constexpr std::array<Name, 8> kNames{{{Isa::scalar, "scalar"},
                                      {Isa::avx2, "avx2"},
                                      {Isa::avxvnni, "avxvnni"},
                                      {Isa::avx512vnni, "avx512vnni"},
                                      {Isa::avx512bf16, "avx512bf16"},
                                      {Isa::neon, "neon"},
                                      {Isa::neon_dotprod, "neon_dotprod"},
                                      {Isa::i8mm, "i8mm"}}};

#if defined(__x86_64__)
// From the processor itself, since not every compiler knows their names. AVX2 says that the system keeps the registers.
bool has_avxvnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> 29 & 1) != 0;
}
#endif

std::vector<Isa> detect() {
  std::vector<Isa> found{Isa::scalar};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
  if (avx2) found.push_back(Isa::avx2);
  if (avx2 && has_avxvnni()) found.push_back(Isa::avxvnni);
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512vnni"))
    found.push_back(Isa::avx512vnni);
  if (found.back() == Isa::avx512vnni && __builtin_cpu_supports("avx512bf16"))
    found.push_back(Isa::avx512bf16);
#elif defined(__aarch64__)
  found.push_back(Isa::neon);
  if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) {
    found.push_back(Isa::neon_dotprod);
    if (getauxval(AT_HWCAP2) & HWCAP2_I8MM) found.push_back(Isa::i8mm);
  }
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
