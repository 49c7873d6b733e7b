// The images that a model is calibrated on, decoded once where they fit into memory, since each step of quantization
// runs over them again.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/image.h"
#include "data/rows.h"
#include "quant/calibrate.h"

namespace eke {

// Hears of long work: what is being done and how much of it, from 0 where a piece begins. `what` is empty within a piece
// that is told of as a whole. May throw to stop the work.
using OnProgress = std::function<void(std::string_view what, std::int64_t done, std::int64_t of)>;

class CalibrationImages {
 public:
  // The data set and the threads must outlive it. All work on the images tells `progress`, which may be empty.
  CalibrationImages(const Dataset& data, const Preprocess& preprocess, const Threads& threads,
                    OnProgress progress = {});

  std::int64_t count() const { return rows_.count(); }
  // Pairs of images that are equal in every value, as positions: (a later one, the first like it). Of the images that
  // have been read.
  const std::vector<std::pair<std::int64_t, std::int64_t>>& duplicates() const noexcept {
    return duplicates_;
  }
  std::string name(std::int64_t image) const { return rows_.name(image); }

  // Calls `take` with whole batches and a last one that may be shorter: the values of the images and their names.
  // `limit`: of images; 0 for all. `what` is for the progress.
  using Take = std::function<void(std::span<const float> values, std::span<const std::string> names)>;
  void each_batch(std::int64_t batch, std::int64_t row_size, std::int64_t limit, std::string_view what,
                  const Take& take);

  // Calls `take` with one image after the other: with all of them, and then with others that are like them, mirrored and cut
  // out at random but always the same: up to kVersions of each, as many as memory allows.
  static constexpr std::int64_t kVersions = 4;
  void each_version(const std::function<void(std::span<const float> values)>& take);
  std::int64_t version_count() const;  // of how many images

  // Runs a calibration over the images.
  void feed(Calibration& calibration, std::int64_t limit, std::string_view what);

  void tell(std::string_view what, std::int64_t done, std::int64_t of) const {
    if (progress_) progress_(what, done, of);
  }

 private:
  void read(std::int64_t begin, std::int64_t end, std::int64_t row_size);
  void make_versions();
  void note_duplicates(std::int64_t begin, std::span<const float> values, std::int64_t row_size);

  const Dataset& data_;
  Preprocess preprocess_;
  const Threads& threads_;
  OnProgress progress_;
  DatasetRows rows_;
  Tensor values_{DType::f32, {0, 0}};  // a row an image: [first_, first_ + read_), and room for more
  std::int64_t first_ = 0, read_ = 0;
  std::vector<Image> versions_;  // of each_version(), but the images themselves
  std::int64_t looked_at_ = 0;   // for duplicates
  std::vector<std::uint64_t> hashes_;
  std::vector<std::pair<std::int64_t, std::int64_t>> duplicates_;
};

}  // namespace eke
