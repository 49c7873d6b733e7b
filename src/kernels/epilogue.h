// What happens to an int32 accumulator before it is stored: rules 3 to 7 of docs/integer-semantics.md, shared
// by the integer convolution kernels. Plain data; no kernel knows of tensors or graphs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace eke::kernels {

// Every buffer that a kernel reads has this many readable bytes after its end; what they hold never matters.
inline constexpr int kSlackBytes = 64;
// Arrays with one entry a channel (bias, scale, slope, ...) are readable for this many entries after the last
// one.
inline constexpr int kChannelSlack = 64;

enum class OutputKind : std::uint8_t {
  u8,   // rules 3 to 6
  f32,  // rule 7
  i32,  // the accumulator itself, bias included
};

enum class ResidualKind : std::uint8_t {
  none,
  direct,   // rule 5
  rounded,  // rule 6
};

// A tensor that is added to the result; of the output's shape. Only with OutputKind::u8.
struct Residual {
  ResidualKind kind = ResidualKind::none;
  const std::uint8_t* data = nullptr;
  std::ptrdiff_t stride = 0;     // bytes from one pixel to the next
  std::int32_t zero = 0;         // zr of rule 5, zb of rule 6
  float k = 0;                   // k of rule 5, kb of rule 6
  float ka = 0;                  // rule 6 alone
  float mid_lo = 0, mid_hi = 0;  // rule 6 alone: the bounds of t - z1
};

struct Epilogue {
  const std::int32_t* bias = nullptr;  // required; already holds -zx * sum(w)
  const float* scale = nullptr;        // m[c], m1[c] for rule 6, finite; unused for i32
  const float* negative_scale =
      nullptr;  // rule 4: m[c] where the accumulator is negative; null: scale everywhere
  // u8: the bounds of q - zy (integers), where the fused activation has narrowed them; f32: the bounds of y,
  // which may be infinite; unused for i32.
  float lo = 0, hi = 0;
  std::int32_t zero_point = 0;  // zy; unused for f32 and i32
  OutputKind output = OutputKind::u8;
  // True where v of rules 3 to 6 stays within int32 for every accumulator and residual: such kernels as clamp after
  // the conversion to integers may.
  bool bounded = false;
  Residual residual;
};

}  // namespace eke::kernels
