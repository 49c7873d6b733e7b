#ifdef __aarch64__
#include "kernels/simd/neon.h"

#include "kernels/simd/generic.h"

#include "kernels/simd/neon_requantize.h"

#include "kernels/gemm/generic.h"

namespace eke::kernels {
namespace {

constexpr int kColumns = 4;  // channels of a panel of bytes
constexpr std::ptrdiff_t kHeadBytes = (kColumns + 4) * sizeof(std::int32_t);

// Products of signed bytes, x - 128 by w: the head of a panel holds what that takes off the sums, 128 * sum(w). Two
// products fit 16 bits, |128 * 127 * 2| < 2^15, so that one addition of pairs takes sixteen products; where a weight is
// -128, which the head says too, every product is added alone.
struct U8S8 {
  const GemmU8S8Args& a;
  std::ptrdiff_t panel_bytes;

  template <bool Single>
  static int32x4_t add_16(int32x4_t acc, int8x16_t x, int8x16_t w) noexcept {
    const int16x8_t low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
    if constexpr (Single) return vpadalq_s16(vpadalq_s16(acc, low), vmull_high_s8(x, w));
    return vpadalq_s16(acc, vmlal_high_s8(low, x, w));
  }
  static int32x4_t add_8(int32x4_t acc, int8x16_t x, int8x16_t w) noexcept {
    return vpadalq_s16(acc, vmull_s8(vget_low_s8(x), vget_low_s8(w)));
  }

  // Up to sixteen values of M pixels by P panels: add(sum, values, weights).
  template <int M, int P, class Add>
  void step(int32x4_t (&acc)[M][kColumns * P], const std::uint8_t* (&x)[M], const std::int8_t* w,
            Add add) const noexcept {
    int8x16_t value[M];
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) {
      value[i] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x[i]), vdupq_n_u8(128)));
      x[i] += 16;
    }
#pragma GCC unroll 16
    for (int j = 0; j < kColumns * P; ++j) {
      const int8x16_t weight = vld1q_s8(w + j / kColumns * panel_bytes + j % kColumns * 16);
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) acc[i][j] = add(acc[i][j], value[i], weight);
    }
  }

  template <int M, int P, bool Single>
  void sum(int32x4_t (&acc)[M][kColumns * P], int i0, const std::int8_t* w) const noexcept {
    const std::uint8_t* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const std::uint8_t* x[M];
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) x[i] = rows[i * a.row_stride + t] + a.offset;
      int left = a.k;
      for (; left > 8; left -= 16, w += kColumns * 16)
        step<M, P>(acc, x, w, [](int32x4_t s, int8x16_t v, int8x16_t u) { return add_16<Single>(s, v, u); });
      if (left <= 0) continue;
      step<M, P>(acc, x, w, [](int32x4_t s, int8x16_t v, int8x16_t u) { return add_8(s, v, u); });
      w += kColumns * 16;
    }
  }

  template <int M, int P>
  void tile(int i0, int p0) const noexcept {
    const std::int8_t* w = a.weights + p0 * panel_bytes;
    const auto* head = reinterpret_cast<const std::int32_t*>(w);
    int32x4_t acc[M][kColumns * P];
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 16
      for (int j = 0; j < kColumns * P; ++j) acc[i][j] = vdupq_n_s32(0);
    bool single = false;
    for (int p = 0; p < P; ++p) single = single || offset_bytes(head, p * panel_bytes)[kColumns] != 0;
    if (single)
      sum<M, P, true>(acc, i0, w + kHeadBytes);
    else
      sum<M, P, false>(acc, i0, w + kHeadBytes);
    I16 sums = seti(0);
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      const int32x4_t start = vaddq_s32(vld1q_s32(a.epilogue.bias + (p0 + p) * kColumns),
                                        vld1q_s32(offset_bytes(head, p * panel_bytes)));
#pragma GCC unroll 4
      for (int i = 0; i < M; ++i) {
        const int32x4_t* part = acc[i] + p * kColumns;
        sums.v[i * P + p] =
            vaddq_s32(start, vpaddq_s32(vpaddq_s32(part[0], part[1]), vpaddq_s32(part[2], part[3])));
      }
    }
    finish_tile<M, P>(sums, i0, p0 * kColumns);
  }

  // Vector i * P + p holds panel p of pixel i.
  template <int M, int P>
  void finish_tile(const I16& sums, int i0, int c) const noexcept {
    const Epilogue& e = a.epilogue;
    const auto spread = [](const float* p) {
      return quarters<F16>([&](int v) { return vld1q_f32(p + v % P * kColumns); });
    };
    const bool done = with_requantize(
        e, [&](const auto& requantize) __attribute__((always_inline)) {
          const F16 scale = spread(e.scale + c),
                    negative = e.negative_scale ? spread(e.negative_scale + c) : scale;
          F16 addends = scale;
          if (requantize.kKind != ResidualKind::none) {
            const std::uint8_t* from = e.residual.data + i0 * e.residual.stride + c;
            uint32x4_t four = vdupq_n_u32(0);
#pragma GCC unroll 4
            for (int v = 0; v < M * P; ++v)
              four[v] = load_4(from + v / P * e.residual.stride + v % P * kColumns);
            addends = residual_addend(e.residual, vreinterpretq_u8_u32(four));
          }
          const uint8x16_t bytes = requantize(sums, scale, negative, addends);
          const uint32x4_t four = vreinterpretq_u32_u8(bytes);
          std::uint8_t* out = static_cast<std::uint8_t*>(a.out) + i0 * a.out_stride + c;
          const int left = a.n - c;
          if (left < kColumns * P) return store_edge<M, P>(out, bytes, left);
          if constexpr (P == 4) return vst1q_u8(out, bytes);
#pragma GCC unroll 4
          for (int v = 0; v < M * P; ++v) store_4(out + v / P * a.out_stride + v % P * kColumns, four[v]);
        });
    if (!done) finish_rows(sums, M, P, i0, c);
  }

  template <int M, int P>
  void store_edge(std::uint8_t* out, uint8x16_t bytes, int left) const noexcept {
    std::uint8_t byte[16];
    vst1q_u8(byte, bytes);
    for (int i = 0; i < M; ++i)
      for (int j = 0; j < left; ++j) out[i * a.out_stride + j] = byte[i * P * kColumns + j];
  }

  // Every rule.
  [[gnu::noinline]] void finish_rows(const I16& sums, int m, int panels, int i0, int c) const noexcept {
    for (int i = 0; i < m; ++i) {
      I16 row = seti(0);
      for (int p = 0; p < panels; ++p) row.v[p] = sums.v[i * panels + p];
      const int left = a.n - c, columns = panels * kColumns;
      finish(a.epilogue, row, c, left < columns ? left : columns, i0 + i,
             static_cast<char*>(a.out) + (i0 + i) * a.out_stride);
    }
  }
};

// Four values a step: a vector of weights by one lane of a pixel's values.
struct F32Lanes {
  const GemmF32Args& a;
  std::ptrdiff_t panel_values;

  template <int Lane, int M, int P>
  void step(float32x4_t (&acc)[M][4 * P], const float32x4_t (&x)[M], const float* w) const noexcept {
#pragma GCC unroll 16
    for (int q = 0; q < 4 * P; ++q) {
      const float32x4_t weight = vld1q_f32(w + q / 4 * panel_values + Lane * kNr + q % 4 * 4);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) acc[i][q] = vfmaq_laneq_f32(acc[i][q], weight, x[i], Lane);
    }
  }

  template <int M, int P>
  void tile(int i0, int p0) const noexcept {
    const float* w = a.weights + p0 * panel_values;
    float32x4_t acc[M][4 * P];
#pragma GCC unroll 16
    for (int q = 0; q < 4 * P; ++q) {
      const float32x4_t bias = vld1q_f32(a.bias + p0 * kNr + q * 4);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) acc[i][q] = bias;
    }
    const float* const* rows = a.rows + i0 * a.row_stride;
    for (int t = 0; t < a.taps; ++t) {
      const float* x[M];
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) x[i] = rows[i * a.row_stride + t] + a.offset;
      float32x4_t value[M];
      int left = a.k;
      for (; left >= 4; left -= 4, w += 4 * kNr) {
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) value[i] = vld1q_f32(x[i]), x[i] += 4;
        step<0, M, P>(acc, value, w);
        step<1, M, P>(acc, value, w);
        step<2, M, P>(acc, value, w);
        step<3, M, P>(acc, value, w);
      }
      if (left == 0) continue;
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) value[i] = vld1q_f32(x[i]);
      step<0, M, P>(acc, value, w);
      if (left > 1) step<1, M, P>(acc, value, w);
      if (left > 2) step<2, M, P>(acc, value, w);
      w += left * kNr;
    }
    asm volatile("" ::: "memory");  // what the epilogue loads would take the registers of the sums
#pragma GCC unroll 8
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) {
        const F16 y = {{acc[i][4 * p], acc[i][4 * p + 1], acc[i][4 * p + 2], acc[i][4 * p + 3]}};
        const int c = (p0 + p) * kNr;
        finish(a, y, c, at_most_16(a.n - c), i0 + i);
      }
  }
};

}  // namespace

void gemm_u8s8_4x4c16_neon(const GemmU8S8Args& a) noexcept {
  const std::ptrdiff_t steps = (a.k + 15) / 16;
  const U8S8 kernel{a, kHeadBytes + steps * a.taps * kColumns * 16};
  const int panels = (a.n + kColumns - 1) / kColumns;
  int p = 0;
  if (a.m == 1)
    for (; p + 4 <= panels; p += 4) column<1, 4>(kernel, p);
  for (; p < panels; ++p) column<4, 1>(kernel, p);
}

void gemm_f32_6x16_neon(const GemmF32Args& a) noexcept {
  const F32Lanes kernel{a, std::ptrdiff_t{a.k} * a.taps * kNr};
  const int panels = (a.n + kNr - 1) / kNr;
  int p = 0;
  if (a.m == 1)
    for (; p + 4 <= panels; p += 4) column<1, 4>(kernel, p);
  for (; p < panels; ++p) column<6, 1>(kernel, p);
}

void gemm_bf16_4x16c2_neon(const GemmBf16Args& a) noexcept { run_narrow<4>(Real<EmulatedPairs>(a)); }
void round_bf16_neon(const float* x, std::ptrdiff_t count, std::uint16_t* out) noexcept {
  round_bf16(x, count, out);
}
void pair_rows_bf16_neon(const PairRowsArgs& a) noexcept { pair_rows_bf16(a); }

}  // namespace eke::kernels
#endif
