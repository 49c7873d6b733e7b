#include "data/dataset.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <unordered_set>

#include "base/error.h"
#include "base/file.h"
#include "data/dataset_builder.h"

namespace eke {

namespace fs = std::filesystem;

void DatasetBuilder::store(Dataset& dataset, const std::vector<std::int64_t>& extents,
                           std::vector<std::uint8_t> pixels) {
  const std::int64_t channels = extents.size() == 4 ? extents[3] : 1;
  check(channels == 1 || channels == 3, "images of {} channels: save 1 or 3 as the last dimension", channels);
  check(extents[0] > 0 && extents[1] > 0 && extents[2] > 0, "it holds no image: save at least one");
  check(extents[1] <= kMaxImagePixels / extents[2], "images of {} x {} are too large: scale them down",
        extents[2], extents[1]);
  dataset.store_ = std::make_shared<Dataset::Store>(
      Dataset::Store{static_cast<int>(extents[2]), static_cast<int>(extents[1]), static_cast<int>(channels),
                     std::move(pixels)});
}

std::string_view to_string(DatasetKind kind) noexcept {
  switch (kind) {
    case DatasetKind::folders:
      return "folder per class";
    case DatasetKind::list:
      return "CSV of file,class";
    case DatasetKind::idx:
      return "IDX";
    case DatasetKind::pairs:
      return "CSV of pairs";
    case DatasetKind::images:
      return "images";
    case DatasetKind::array:
      return ".npy of images";
  }
  return "?";
}

Image Dataset::load(std::size_t i) const {
  const Sample& sample = samples_.at(i);
  if (!store_) return read_image((fs::path(root_) / sample.id).string());
  Image image{store_->width, store_->height, store_->channels, {}};
  const std::size_t size = std::size_t{1} * image.width * image.height * image.channels;
  const auto from = store_->pixels.begin() + static_cast<std::ptrdiff_t>(sample.stored * size);
  image.pixels.assign(from, from + static_cast<std::ptrdiff_t>(size));
  return image;
}

std::uint64_t Dataset::content_hash(std::size_t i) const {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&](const auto& bytes) {
    for (auto byte : bytes) hash = (hash ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3u;
  };
  if (store_) {
    add(load(i).pixels);
  } else {
    add(read_file((fs::path(root_) / samples_.at(i).id).string(), kMaxImageFileBytes));
  }
  return hash;
}

Dataset Dataset::select(const std::vector<std::size_t>& indices) const {
  check(!indices.empty(), "no image of '{}' is left in the part asked for: ask for more of its {} images",
        path_, size());
  Dataset part = *this;
  part.samples_.clear();
  part.pairs_.clear();
  std::map<std::size_t, std::size_t> moved;
  for (std::size_t index : indices) {
    moved.emplace(index, part.samples_.size());
    part.samples_.push_back(samples_.at(index));
  }
  for (const Pair& pair : pairs_) {
    const auto a = moved.find(pair.a), b = moved.find(pair.b);
    if (a != moved.end() && b != moved.end()) {
      part.pairs_.push_back({a->second, b->second, pair.same, pair.reference_score});
    }
  }
  return part;
}

Dataset Dataset::take(std::size_t offset, std::size_t count, std::size_t stride) const {
  check(stride > 0, "a stride of 0 takes nothing: give 1 or more");
  std::vector<std::size_t> indices;
  for (std::size_t i = offset; i < size() && indices.size() < count; i += std::min(stride, size()))
    indices.push_back(i);
  return select(indices);
}

Dataset Dataset::take_pairs(std::size_t offset, std::size_t count, std::size_t stride) const {
  check(stride > 0, "a stride of 0 takes nothing: give 1 or more");
  Dataset part = *this;
  part.samples_.clear();
  part.pairs_.clear();
  std::map<std::size_t, std::size_t> moved;
  const auto keep = [&](std::size_t index) {
    const auto [entry, is_new] = moved.emplace(index, part.samples_.size());
    if (is_new) part.samples_.push_back(samples_[index]);
    return entry->second;
  };
  for (std::size_t i = offset; i < pairs_.size() && part.pairs_.size() < count;
       i += std::min(stride, pairs_.size())) {
    const std::size_t a = keep(pairs_[i].a), b = keep(pairs_[i].b);
    part.pairs_.push_back({a, b, pairs_[i].same, pairs_[i].reference_score});
  }
  check(!part.pairs_.empty(), "no pair of '{}' is left in the part asked for: ask for more of its {} pairs",
        path_, pairs_.size());
  return part;
}

Dataset::Split Dataset::split(std::size_t count) const {
  check(count > 0 && count < size(), "cannot split {} images of '{}' into {} and a rest: ask for 1 to {}",
        size(), path_, count, size() - 1);
  std::vector<std::size_t> chosen, rest;
  for (std::size_t i = 0; i < size(); ++i) {
    // Exactly `count` positions are those where the scaled position steps up.
    const bool steps = (i + 1) * count / size() > i * count / size();
    (steps ? chosen : rest).push_back(i);
  }
  return {select(chosen), select(rest)};
}

std::vector<std::size_t> shared_images(const Dataset& a, const Dataset& b) {
  std::unordered_set<std::uint64_t> hashes;
  for (std::size_t i = 0; i < b.size(); ++i) hashes.insert(b.content_hash(i));
  std::vector<std::size_t> shared;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (hashes.count(a.content_hash(i))) shared.push_back(i);
  }
  return shared;
}

}  // namespace eke
