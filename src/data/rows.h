// What is fed to a model, row by row: the images of a data set, or an array that holds the numbers
// themselves.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/dataset.h"
#include "data/loader.h"

namespace eke {

class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual std::int64_t count() const = 0;
  virtual std::string name(std::int64_t row) const = 0;
  // Writes the numbers of rows [begin, end).
  virtual void read(std::int64_t begin, std::int64_t end, std::span<float> out) const = 0;
};

// The data set and the threads must outlive it.
class DatasetRows : public RowSource {
 public:
  DatasetRows(const Dataset& data, const Preprocess& preprocess, const Threads& threads);
  std::int64_t count() const override { return static_cast<std::int64_t>(data_.size()); }
  std::string name(std::int64_t row) const override;
  void read(std::int64_t begin, std::int64_t end, std::span<float> out) const override;

 private:
  const Dataset& data_;
  BatchLoader loader_;
};

// One .npy file: the first extent counts rows.
class ArrayRows : public RowSource {
 public:
  explicit ArrayRows(const std::string& path);
  const Shape& shape() const noexcept { return tensor_.shape(); }
  std::int64_t count() const override { return tensor_.shape()[0]; }
  std::string name(std::int64_t row) const override;
  void read(std::int64_t begin, std::int64_t end, std::span<float> out) const override;

 private:
  std::string path_;
  Tensor tensor_;
};

// Throws, naming the row, where an output holds NaN or an infinity: no class or distance follows from it.
void check_finite(std::span<const float> output, const std::string& name);

}  // namespace eke
