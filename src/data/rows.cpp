#include "data/rows.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "data/npy.h"

namespace eke {

DatasetRows::DatasetRows(const Dataset& data, const Preprocess& preprocess, const Threads& threads)
    : data_(data), loader_(data, preprocess, threads) {}

std::string DatasetRows::name(std::int64_t row) const {
  return data_.samples()[static_cast<std::size_t>(row)].id;
}

void DatasetRows::read(std::int64_t begin, std::int64_t end, std::span<float> out) const {
  const Shape shape = loader_.shape(static_cast<std::size_t>(end - begin));
  check(shape.count() == static_cast<std::int64_t>(out.size()),
        "images become {} numbers and the model wants {}: give --size and --order as its input is",
        shape.count(), out.size());
  loader_.load_into(static_cast<std::size_t>(begin), static_cast<std::size_t>(end), out.data());
}

ArrayRows::ArrayRows(const std::string& path) : path_(path), tensor_(read_npy(path)) {
  check(tensor_.shape().rank() > 0 && tensor_.count() > 0, "file '{}' is no batch: its shape is {}", path,
        to_string(tensor_.shape()));
}

std::string ArrayRows::name(std::int64_t row) const { return fmt::format("{}[{}]", path_, row); }

void ArrayRows::read(std::int64_t begin, std::int64_t end, std::span<float> out) const {
  const std::int64_t size = tensor_.count() / count();
  check(size * (end - begin) == static_cast<std::int64_t>(out.size()),
        "file '{}' has rows of {} numbers and the model wants {}", path_, size,
        static_cast<std::int64_t>(out.size()) / (end - begin));
  const TensorView view = tensor_.view();
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(element_as_double(view, begin * size + static_cast<std::int64_t>(i)));
  }
}

void check_finite(std::span<const float> output, const std::string& name) {
  const auto bad = std::find_if(output.begin(), output.end(), [](float v) { return !std::isfinite(v); });
  check(bad == output.end(),
        "the model's output for '{}' is {}: check the preprocessing (--mean, --scale), then the model's "
        "weights",
        name, bad != output.end() && std::isnan(*bad) ? "NaN" : "infinite");
}

}  // namespace eke
