// The rows that a transposed window reads, as pointers. Output pixels whose coordinates agree modulo the strides read
// the same taps: they are a phase, and a phase is an ordinary convolution.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/geometry.h"
#include "tensor/tensor.h"

namespace eke {

class Phase {
 public:
  struct Tap {
    std::int64_t dh, dw;  // input row and column of output (0, 0) of the phase
    int index;            // into the kernel, kh * kernel width + kw
  };

  const std::vector<Tap>& taps() const noexcept { return taps_; }
  std::int64_t pixels() const noexcept { return images_ * rows_ * cols_; }

  // Fills rows[i * taps + t] for the phase's pixels [first, first + count); `padding` where there is no input.
  void fill(const std::byte* x, const std::byte* padding, std::int64_t first, std::int64_t count,
            const std::byte** rows) const noexcept;
  // The output's pixel, over all images, of a pixel of the phase.
  std::int64_t target(std::int64_t pixel) const noexcept;

  friend std::vector<Phase> phases_of(const Geometry& geometry, const Shape& x, std::size_t element);

 private:
  std::vector<Tap> taps_;
  std::int64_t images_ = 0, rows_ = 0, cols_ = 0;  // pixels of the phase
  std::int64_t first_row_ = 0, first_col_ = 0;     // of the output
  Window h_, w_;
  std::int64_t channel_bytes_ = 0;
};

// Of a transposed convolution (transposed_geometry) over x [N, C, H, W] in NHWC.
std::vector<Phase> phases_of(const Geometry& geometry, const Shape& x, std::size_t element);

}  // namespace eke
