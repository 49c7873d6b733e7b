// What the tactics of training share: they are for float32 images in NHWC that come from other steps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/tactic.h"

namespace eke {

inline std::size_t aligned_to_line(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }
inline std::size_t float_bytes(std::int64_t count) noexcept {
  return aligned_to_line(static_cast<std::size_t>(count) * sizeof(float));
}

inline bool is_float_image(const Type& type) {
  return type.dtype == DType::f32 && !type.quant && type.shape.rank() == 4 && type.shape.count() > 0 &&
         type.shape.count() < (std::int64_t{1} << 31);
}

// Input `i` is no constant, so that the plan brings it into the layout that is asked for.
inline bool varies(const Query& query, std::size_t i) {
  return query.has(i) && query.constant(i) == nullptr && is_float_image(query.in(i));
}

// Runs f(thread, threads) on every thread.
template <class F>
void on_threads(const Threads& threads, F&& f) noexcept {
  const auto count = static_cast<std::size_t>(threads.count());
  threads.for_ranges(count, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) f(i, count);
  });
}

}  // namespace eke
