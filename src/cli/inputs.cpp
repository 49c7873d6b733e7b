#include "cli/inputs.h"

#include <algorithm>
#include <cmath>

#include "cli/progress.h"
#include "data/npy.h"

namespace eke::cli {

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

void for_each_row(std::span<Session* const> sessions, const RowSource& source, const std::string& label,
                  const std::function<void(const RowDone&)>& take) {
  const Session& first = *sessions[0];
  for (const Session* session : sessions) {
    check(session->batch() == first.batch() && session->row_size() == first.row_size(),
          "the models take inputs of different size: {} x {} and {} x {} numbers", first.batch(),
          first.row_size(), session->batch(), session->row_size());
  }
  const std::int64_t batch = first.batch(), count = source.count();
  const auto row_size = static_cast<std::size_t>(first.row_size());
  // Enough rows at a time to keep all threads decoding, in whole batches.
  const std::int64_t wanted = std::max<std::int64_t>(batch, 4 * first.threads().count());
  const std::int64_t chunk = (wanted + batch - 1) / batch * batch;
  std::vector<float> rows(row_size * static_cast<std::size_t>(std::min(chunk, count)));
  const auto part = [&](std::int64_t at, std::int64_t size) {
    return std::span(rows).subspan(static_cast<std::size_t>(at) * row_size,
                                   static_cast<std::size_t>(size) * row_size);
  };
  Progress progress(label, count);
  for (std::int64_t begin = 0; begin < count; begin += chunk) {
    const std::int64_t in_chunk = std::min(chunk, count - begin);
    source.read(begin, begin + in_chunk, part(0, in_chunk));
    for (std::int64_t at = 0; at < in_chunk; at += batch) {
      const std::int64_t in_batch = std::min(batch, in_chunk - at);
      for (Session* session : sessions) session->run_rows(part(at, in_batch));
      for (std::int64_t i = 0; i < in_batch; ++i) take({begin + at + i, i});
      progress.update(begin + at + in_batch);
    }
  }
}

}  // namespace eke::cli
