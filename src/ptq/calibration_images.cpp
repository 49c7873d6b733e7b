#include "ptq/calibration_images.h"

#include <algorithm>

#include "base/hash.h"
#include "base/random.h"
#include "data/augment.h"
#include "data/fitted.h"
#include "runtime/session.h"
#include "tensor/values.h"

namespace eke {

namespace {
constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;         // of decoded images in memory
constexpr std::int64_t kMostVersionBytes = std::int64_t{128} << 20;  // of versions of them
constexpr Augmentation kVersion{.crop = 0.25f, .flip = true};
}  // namespace

CalibrationImages::CalibrationImages(const Dataset& data, const Preprocess& preprocess,
                                     const Threads& threads, OnProgress progress)
    : data_(data),
      preprocess_(preprocess),
      threads_(threads),
      progress_(std::move(progress)),
      rows_(data, preprocess, threads) {}

// Leaves the images from `begin` to at least `end` in values_: more of them, as long as memory allows.
void CalibrationImages::read(std::int64_t begin, std::int64_t end, std::int64_t row_size) {
  if (begin >= first_ && end <= first_ + read_) return;
  const std::int64_t fit = kMostBytes / (row_size * static_cast<std::int64_t>(sizeof(float)));
  const bool grows = begin == first_ + read_ && end - first_ <= fit;
  if (!grows) {
    first_ = begin;
    read_ = 0;
  }
  if ((end - first_) * row_size > values_.count()) {
    const std::int64_t rows = std::max(end - first_, std::min(fit, rows_.count()));
    Tensor larger(DType::f32, {rows, row_size});
    if (read_ > 0)
      std::copy_n(values_.values<float>().data(), read_ * row_size, larger.mutable_values<float>().data());
    values_ = std::move(larger);
  }
  const std::span<float> added =
      values_.mutable_values<float>().subspan(static_cast<std::size_t>(read_ * row_size),
                                              static_cast<std::size_t>((end - first_ - read_) * row_size));
  rows_.read(first_ + read_, end, added);
  note_duplicates(first_ + read_, added, row_size);
  read_ = end - first_;
}

void CalibrationImages::note_duplicates(std::int64_t begin, std::span<const float> values,
                                        std::int64_t row_size) {
  for (std::size_t at = 0; at < values.size(); at += static_cast<std::size_t>(row_size), ++begin) {
    if (begin < looked_at_) continue;
    const std::span<const float> row = values.subspan(at, static_cast<std::size_t>(row_size));
    const std::uint64_t hash = hash_bytes({reinterpret_cast<const char*>(row.data()), row.size_bytes()});
    const auto found = std::ranges::find(hashes_, hash);
    if (found != hashes_.end()) duplicates_.emplace_back(begin, found - hashes_.begin());
    hashes_.push_back(hash);
    looked_at_ = begin + 1;
  }
}

void CalibrationImages::each_batch(std::int64_t batch, std::int64_t row_size, std::int64_t limit,
                                   std::string_view what, const Take& take) {
  const std::int64_t count = limit > 0 ? std::min(limit, rows_.count()) : rows_.count();
  // Enough images at a time to keep all threads decoding, in whole batches.
  const std::int64_t chunk =
      (std::max<std::int64_t>(batch, 4 * threads_.count()) + batch - 1) / batch * batch;
  tell(what, 0, count);
  for (std::int64_t begin = 0; begin < count; begin += chunk) {
    const std::int64_t end = std::min(begin + chunk, count);
    read(begin, end, row_size);
    for (std::int64_t at = begin; at < end; at += batch) {
      const std::int64_t images = std::min(batch, end - at);
      std::vector<std::string> names;
      for (std::int64_t i = 0; i < images; ++i) names.push_back(rows_.name(at + i));
      take(values_.values<float>().subspan(static_cast<std::size_t>((at - first_) * row_size),
                                           static_cast<std::size_t>(images * row_size)),
           names);
      tell(what, at + images, count);
    }
  }
}

std::int64_t CalibrationImages::version_count() const {
  const std::int64_t fit =
      kMostVersionBytes / std::max<std::int64_t>(1, count() * static_cast<std::int64_t>(preprocess_.count()));
  return count() * (1 + std::min(kVersions - 1, fit));
}

void CalibrationImages::make_versions() {
  if (!versions_.empty() || version_count() == count()) return;
  const FittedImages fitted(data_, preprocess_, threads_, kMostVersionBytes);
  const std::size_t more = static_cast<std::size_t>(version_count() / count() - 1) * fitted.size();
  versions_.resize(more);
  threads_.for_ranges(more, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      versions_[i] = augmented(fitted.load(i % fitted.size()), kVersion,
                               Random(1, i / fitted.size(), i % fitted.size()));
  });
}

void CalibrationImages::each_version(const std::function<void(std::span<const float> values)>& take) {
  make_versions();
  const auto size = static_cast<std::int64_t>(preprocess_.count());
  each_batch(1, size, 0, "",
             [&](std::span<const float> values, std::span<const std::string>) { take(values); });
  std::vector<float> values(preprocess_.count());
  for (const Image& version : versions_) {
    normalize(version, preprocess_, values.data());
    tell("", 0, 0);  // which may stop
    take(values);
  }
}

void CalibrationImages::feed(Calibration& calibration, std::int64_t limit, std::string_view what) {
  const Type& type = calibration.input_types().at(0);
  check_has_elements(type.shape);
  Tensor input(type);
  each_batch(calibration.batch(), type.shape.count() / calibration.batch(), limit, what,
             [&](std::span<const float> values, std::span<const std::string> names) {
               assign(input, values);
               const TensorView view = input.view();
               calibration.observe({&view, 1}, names);
             });
}

}  // namespace eke
