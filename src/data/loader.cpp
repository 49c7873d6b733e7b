#include "data/loader.h"

#include <exception>

#include "base/error.h"

namespace eke {

BatchLoader::BatchLoader(const Dataset& dataset, const Preprocess& preprocess, const Threads& threads)
    : dataset_(dataset), preprocess_(preprocess), threads_(threads) {
  verify(preprocess);
}

Shape BatchLoader::shape(std::size_t batch) const {
  const auto n = static_cast<std::int64_t>(batch);
  const Preprocess& p = preprocess_;
  return p.layout == ImageLayout::nchw ? Shape{n, p.channels(), p.height, p.width}
                                       : Shape{n, p.height, p.width, p.channels()};
}

Tensor BatchLoader::load(std::size_t begin, std::size_t end) const {
  check(begin <= end && end <= size(), "samples [{}, {}) of a set of {}", begin, end, size());
  Tensor batch(DType::f32, shape(end - begin));
  load_into(begin, end, batch.mutable_values<float>().data());
  return batch;
}

void BatchLoader::load_into(std::size_t begin, std::size_t end, float* out) const {
  check(begin <= end && end <= size(), "samples [{}, {}) of a set of {}", begin, end, size());
  std::vector<std::exception_ptr> errors(end - begin);
  threads_.for_ranges(end - begin, [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      try {
        preprocess(dataset_.load(begin + i), preprocess_, out + i * preprocess_.count());
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  });
  std::size_t bad = 0;
  std::exception_ptr first;
  for (const std::exception_ptr& error : errors) {
    if (error && bad++ == 0) first = error;
  }
  if (!first) return;
  if (end - begin == 1) std::rethrow_exception(first);
  with_context([&] { return fmt::format("{} of {} images cannot be used, the first", bad, end - begin); },
               [&] { std::rethrow_exception(first); });
}

}  // namespace eke
