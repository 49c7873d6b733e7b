#include <algorithm>
#include <cstring>

#include "kernels/gemm/registry.h"

namespace eke::kernels {

#define EKE_GEMM_U8S8(name, isa, ...) void name(const GemmU8S8Args&) noexcept;
#define EKE_GEMM_F32(name, isa, mr, nr) void name(const GemmF32Args&) noexcept;
#define EKE_GEMM_BF16(name, round, pair_rows, isa, mr, nr)           \
  void name(const GemmBf16Args&) noexcept;                           \
  void round(const float*, std::ptrdiff_t, std::uint16_t*) noexcept; \
  void pair_rows(const PairRowsArgs&) noexcept;
#include "kernels/gemm/kernels.inc"
#undef EKE_GEMM_U8S8
#undef EKE_GEMM_F32
#undef EKE_GEMM_BF16

namespace {

constexpr GemmU8S8Kernel kU8S8[] = {
#define EKE_GEMM_U8S8(name, isa, ...) {#name, Isa::isa, name, __VA_ARGS__},
#define EKE_GEMM_F32(...)
#define EKE_GEMM_BF16(...)
#include "kernels/gemm/kernels.inc"
#undef EKE_GEMM_U8S8
#undef EKE_GEMM_F32
#undef EKE_GEMM_BF16
};

constexpr GemmF32Kernel kF32[] = {
#define EKE_GEMM_U8S8(...)
#define EKE_GEMM_F32(name, isa, mr, nr) {#name, Isa::isa, name, mr, nr},
#define EKE_GEMM_BF16(...)
#include "kernels/gemm/kernels.inc"
#undef EKE_GEMM_U8S8
#undef EKE_GEMM_F32
#undef EKE_GEMM_BF16
};

constexpr GemmBf16Kernel kBf16[] = {
#define EKE_GEMM_U8S8(...)
#define EKE_GEMM_F32(...)
#define EKE_GEMM_BF16(name, round, pair_rows, isa, mr, nr) {#name, Isa::isa, name, round, pair_rows, mr, nr},
#include "kernels/gemm/kernels.inc"
#undef EKE_GEMM_U8S8
#undef EKE_GEMM_F32
#undef EKE_GEMM_BF16
};

std::size_t round_up(std::size_t x, std::size_t multiple) noexcept {
  return (x + multiple - 1) / multiple * multiple;
}

// A step of constant size is one store.
template <std::size_t kr, class T>
void pack_steps(std::size_t n, std::size_t taps, std::size_t k, std::size_t nr, const T* weights,
                T* packed) noexcept {
  const std::size_t depth = round_up(k, kr), whole = k / kr, rest = k % kr;
  if (n % nr != 0 || rest != 0) std::fill_n(packed, round_up(n, nr) * taps * depth, T{});
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t t = 0; t < taps; ++t) {
      T* to = packed + (j / nr * taps + t) * depth * nr + j % nr * kr;
      for (std::size_t c = 0; c < whole; ++c, to += nr * kr, weights += kr)
        std::memcpy(to, weights, kr * sizeof(T));
      if (rest != 0) std::memcpy(to, weights, rest * sizeof(T));
      weights += rest;
    }
}

template <class T>
void pack(std::size_t n, std::size_t taps, std::size_t k, std::size_t nr, std::size_t kr, const T* weights,
          T* packed) noexcept {
  switch (kr) {
    case 1:
      return pack_steps<1>(n, taps, k, nr, weights, packed);
    case 2:
      return pack_steps<2>(n, taps, k, nr, weights, packed);
    case 4:
      return pack_steps<4>(n, taps, k, nr, weights, packed);
    case 8:
      return pack_steps<8>(n, taps, k, nr, weights, packed);
    default:
      return pack_steps<16>(n, taps, k, nr, weights, packed);
  }
}

// Bytes before the weights of a panel.
std::size_t head_bytes(const GemmU8S8Kernel& kernel) noexcept {
  if (kernel.layout == GemmLayout::panels) return 0;
  return (static_cast<std::size_t>(kernel.nr) + 4) * sizeof(std::int32_t);
}

// The head of a panel of `channels` channels with `size` weights each.
void pack_head(const std::int8_t* weights, std::size_t channels, std::size_t size, std::size_t nr,
               std::int8_t* packed) noexcept {
  std::int32_t flag = 0;
  for (std::size_t j = 0; j < nr; ++j) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; j < channels && i < size; ++i) {
      const std::int8_t w = weights[j * size + i];
      sum += static_cast<std::uint32_t>(w);
      if (w == -128) flag = 1;
    }
    sum *= 128;
    std::memcpy(packed + j * sizeof sum, &sum, sizeof sum);
  }
  const std::int32_t rest[4] = {flag, 0, 0, 0};
  std::memcpy(packed + nr * sizeof(std::int32_t), rest, sizeof rest);
}

}  // namespace

std::span<const GemmU8S8Kernel> gemm_u8s8_kernels() noexcept { return kU8S8; }
std::span<const GemmF32Kernel> gemm_f32_kernels() noexcept { return kF32; }
std::span<const GemmBf16Kernel> gemm_bf16_kernels() noexcept { return kBf16; }

std::size_t packed_bytes(const GemmU8S8Kernel& kernel, std::size_t n, std::size_t taps,
                         std::size_t k) noexcept {
  const auto nr = static_cast<std::size_t>(kernel.nr), kr = static_cast<std::size_t>(kernel.kr);
  return round_up(n, nr) / nr * (head_bytes(kernel) + nr * taps * round_up(k, kr));
}

std::size_t packed_bytes(const GemmF32Kernel& kernel, std::size_t n, std::size_t taps,
                         std::size_t k) noexcept {
  return round_up(n, static_cast<std::size_t>(kernel.nr)) * taps * k * sizeof(float);
}

std::size_t packed_bytes(const GemmBf16Kernel& kernel, std::size_t n, std::size_t taps,
                         std::size_t k) noexcept {
  return round_up(n, static_cast<std::size_t>(kernel.nr)) * taps * round_up(k, 2) * sizeof(std::uint16_t);
}

void pack(const GemmU8S8Kernel& kernel, std::size_t n, std::size_t taps, std::size_t k,
          const std::int8_t* weights, std::int8_t* packed) noexcept {
  const auto nr = static_cast<std::size_t>(kernel.nr), kr = static_cast<std::size_t>(kernel.kr);
  const std::size_t head = head_bytes(kernel), size = taps * k;
  for (std::size_t j = 0; j < n; j += nr, packed += head + nr * taps * round_up(k, kr)) {
    const std::size_t channels = std::min(nr, n - j);
    if (head > 0) pack_head(weights + j * size, channels, size, nr, packed);
    pack(channels, taps, k, nr, kr, weights + j * size, packed + head);
  }
}

void pack(const GemmF32Kernel& kernel, std::size_t n, std::size_t taps, std::size_t k, const float* weights,
          float* packed) noexcept {
  pack(n, taps, k, static_cast<std::size_t>(kernel.nr), 1, weights, packed);
}

void pack(const GemmBf16Kernel& kernel, std::size_t n, std::size_t taps, std::size_t k,
          const std::uint16_t* weights, std::uint16_t* packed) noexcept {
  pack(n, taps, k, static_cast<std::size_t>(kernel.nr), 2, weights, packed);
}

}  // namespace eke::kernels
