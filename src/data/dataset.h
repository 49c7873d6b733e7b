// Sets of images with their labels or pairs, from files on disk. A Dataset is a list of what to load: images
// are decoded when asked for. Const access, load() included, may be shared between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/image.h"

namespace eke {

enum class DatasetKind {
  folders,  // one folder per class; images directly inside
  list,     // CSV: file, class
  idx,      // IDX images (MNIST), plain or gzip, with labels beside them
  pairs,    // CSV: image_a, image_b, same[, reference_score]
  images,   // images without labels: a folder, or one file
  array,    // .npy of images, NxHxW or NxHxWxC, without labels
};
std::string_view to_string(DatasetKind kind) noexcept;

struct Sample {
  std::string id;          // path under the root, or "<file>[<index>]" inside one file
  int label = -1;          // -1: none
  std::size_t stored = 0;  // position inside an IDX or .npy file
};

// Positions in samples(); `reference_score` is what a published network gave, where the file says it.
struct Pair {
  std::size_t a = 0;
  std::size_t b = 0;
  bool same = false;
  std::optional<float> reference_score;
};

struct DatasetOptions {
  // The class names of the model, in order. Names of folders and of a CSV must then be among them, and take
  // their positions; otherwise classes are the names in sorted order, or numbers as they stand.
  std::vector<std::string> classes;
  std::string labels;  // IDX labels, where they are not found beside the images
  // "train" or "test": which one to take of a folder with IDX files of both (train-*, and t10k-* or test-*).
  std::string part;
};

class Dataset {
 public:
  DatasetKind kind() const noexcept { return kind_; }
  const std::string& path() const noexcept { return path_; }
  const std::vector<std::string>& classes() const noexcept { return classes_; }
  const std::vector<Sample>& samples() const noexcept { return samples_; }
  const std::vector<Pair>& pairs() const noexcept { return pairs_; }
  std::size_t size() const noexcept { return samples_.size(); }
  bool has_labels() const noexcept { return !samples_.empty() && samples_.front().label >= 0; }

  // Decodes sample i; an Error names the image.
  Image load(std::size_t i) const;

  // FNV-1a of the bytes of the file, or of the pixels inside one file: equal for the same image in two sets.
  std::uint64_t content_hash(std::size_t i) const;

  // Samples offset, offset + stride, ...: at most `count`. Pairs stay whose both images do. Images are
  // shared, not copied. Throws when nothing is left.
  Dataset take(std::size_t offset, std::size_t count, std::size_t stride = 1) const;
  Dataset head(std::size_t count) const { return take(0, count); }
  Dataset select(const std::vector<std::size_t>& indices) const;

  // Pairs offset, ... with the images that they name.
  Dataset take_pairs(std::size_t offset, std::size_t count, std::size_t stride = 1) const;

  // `count` samples evenly spread over the set, so that a set sorted by class gives all classes; and the
  // rest.
  struct Split;
  Split split(std::size_t count) const;

 private:
  friend struct DatasetBuilder;
  struct Store;  // pixels of an IDX or .npy file

  DatasetKind kind_ = DatasetKind::images;
  std::string path_;
  std::string root_;  // folder of the sample ids
  std::vector<std::string> classes_;
  std::vector<Sample> samples_;
  std::vector<Pair> pairs_;
  std::shared_ptr<const Store> store_;
};

struct Dataset::Split {
  Dataset chosen;
  Dataset rest;
};

// Recognises what `path` is: a folder that holds labels.csv or pairs.csv (then that file), class folders, or
// images; a CSV; an IDX or .npy file; one image. The order is sorted by name, or that of the file. Paths in a
// CSV count from its folder, or from `images/` beside it. Names of classes for numbers in a CSV come from
// classes.txt or synset_words.txt beside it (one a line). Class folders whose names are all numbers are
// classes by number. A plain name that is no path stands for /usr/share/datasets/NAME, where Debian's packages put
// theirs. Throws with the remedy when there is no image, a file of a CSV is missing (how many, and
// the first), or a row cannot be understood.
Dataset open_dataset(const std::string& path, const DatasetOptions& options = {});

// Images of `a` that are also in `b`, by content, as positions in `a`.
std::vector<std::size_t> shared_images(const Dataset& a, const Dataset& b);

}  // namespace eke
