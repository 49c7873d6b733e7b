// What a path holds, and the Dataset that is made of it.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "data/csv.h"
#include "data/dataset_builder.h"
#include "data/idx.h"
#include "data/npy.h"

namespace eke {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxCsvBytes = std::size_t{1} << 28;
constexpr int kMaxClass = 1'000'000;

std::optional<int> class_number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > kMaxClass)
    return std::nullopt;
  return value;
}

bool all_numbers(const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(),
                     [](const std::string& name) { return class_number(name).has_value(); });
}

struct Labels {
  std::vector<std::string> classes;
  std::map<std::string, int> of;
};

// Numbers from the names "0", "1", ... or as positions in `known`; other names by their place in `known`,
// else in sorted order.
Labels make_labels(const std::vector<std::string>& names, const std::vector<std::string>& known) {
  Labels labels;
  labels.classes = known;
  const std::set<std::string> distinct(names.begin(), names.end());
  if (all_numbers(names)) {
    int most = -1;
    for (const std::string& name : distinct) most = std::max(most, labels.of[name] = *class_number(name));
    if (known.empty()) {
      for (int i = 0; i <= most; ++i) labels.classes.push_back(std::to_string(i));
    }
    check(most < static_cast<int>(labels.classes.size()),
          "class {} is beyond the {} known classes: correct the labels", most, labels.classes.size());
    return labels;
  }
  if (known.empty()) labels.classes.assign(distinct.begin(), distinct.end());
  for (const std::string& name : distinct) {
    const auto found = std::find(labels.classes.begin(), labels.classes.end(), name);
    check(found != labels.classes.end(),
          "class '{}' is not among the {} classes of the model: rename it, or give a model with it", name,
          labels.classes.size());
    labels.of[name] = static_cast<int>(found - labels.classes.begin());
  }
  return labels;
}

struct Listing {
  std::vector<std::string> folders, images;
};

Listing list_folder(const fs::path& folder) {
  Listing listing;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.')) continue;
    std::error_code ignored;
    if (entry->is_directory(ignored)) {
      listing.folders.push_back(name);
    } else if (has_image_extension(name)) {
      listing.images.push_back(name);
    }
  }
  check(!error, "folder '{}' cannot be read ({}): check its permissions", folder.string(), error.message());
  std::sort(listing.folders.begin(), listing.folders.end());
  std::sort(listing.images.begin(), listing.images.end());
  return listing;
}

Dataset open_class_folders(const std::string& path, const std::vector<std::string>& names,
                           const DatasetOptions& options) {
  const Labels labels = make_labels(names, options.classes);
  Dataset dataset = DatasetBuilder::make(DatasetKind::folders, path, path);
  DatasetBuilder::classes(dataset) = labels.classes;
  std::vector<Sample>& samples = DatasetBuilder::samples(dataset);
  for (const std::string& name : names) {
    const Listing listing = list_folder(fs::path(path) / name);
    check(!listing.images.empty(), "class folder '{}' holds no image ({}): add images or remove it", name,
          image_extensions());
    for (const std::string& image : listing.images)
      samples.push_back({name + "/" + image, labels.of.at(name)});
  }
  return dataset;
}

Dataset open_images(const std::string& path, const std::vector<std::string>& names) {
  Dataset dataset = DatasetBuilder::make(DatasetKind::images, path, path);
  for (const std::string& name : names) DatasetBuilder::samples(dataset).push_back({name});
  return dataset;
}

// The folder that paths of a CSV count from: its own, or `images` in it when the first file is there.
fs::path root_of(const fs::path& csv, const std::string& first) {
  const fs::path folder = csv.has_parent_path() ? csv.parent_path() : fs::path(".");
  std::error_code ignored;
  const bool beside = fs::exists(folder / first, ignored);
  return !beside && fs::exists(folder / "images" / first, ignored) ? folder / "images" : folder;
}

void check_files(const std::vector<Sample>& samples, const fs::path& root) {
  std::size_t missing = 0;
  const std::string* first = nullptr;
  for (const Sample& sample : samples) {
    std::error_code ignored;
    if (fs::is_regular_file(root / sample.id, ignored)) continue;
    if (missing++ == 0) first = &sample.id;
  }
  check(missing == 0,
        "{} of {} images are missing under '{}', the first is '{}': paths count from the CSV's folder or "
        "images/ in it",
        missing, samples.size(), root.string(), first ? *first : std::string());
}

bool is_header(const CsvRow& row) {
  static const std::set<std::string> kNames = {"file", "filename", "image", "path", "image_a", "a"};
  std::string first = row.fields.front();
  std::transform(first.begin(), first.end(), first.begin(), [](unsigned char c) { return std::tolower(c); });
  return kNames.count(first) > 0;
}

// Names of classes by number, one a line, from a file beside the CSV.
std::vector<std::string> names_beside(const fs::path& csv) {
  for (const char* name : {"classes.txt", "synset_words.txt"}) {
    const fs::path path = csv.parent_path() / name;
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored)) continue;
    const std::string text = read_file(path.string(), kMaxCsvBytes);
    std::vector<std::string> names;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      std::string line = text.substr(at, end - at);
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) names.push_back(std::move(line));
      at = end + 1;
    }
    return names;
  }
  return {};
}

Dataset open_list(const std::string& path, const std::vector<CsvRow>& rows, const DatasetOptions& options) {
  std::vector<std::string> names;
  for (const CsvRow& row : rows) {
    check(row.fields.size() == 2 && !row.fields[0].empty() && !row.fields[1].empty(),
          "line {}: expected file,class", row.line);
    names.push_back(row.fields[1]);
  }
  std::vector<std::string> known = options.classes;
  if (known.empty() && all_numbers(names)) known = names_beside(path);
  const Labels labels = make_labels(names, known);
  const fs::path root = root_of(path, rows.front().fields[0]);
  Dataset dataset = DatasetBuilder::make(DatasetKind::list, path, root.string());
  DatasetBuilder::classes(dataset) = labels.classes;
  for (const CsvRow& row : rows) {
    DatasetBuilder::samples(dataset).push_back({row.fields[0], labels.of.at(row.fields[1])});
  }
  check_files(dataset.samples(), root);
  return dataset;
}

bool parse_same(const CsvRow& row) {
  const std::string& text = row.fields[2];
  check(text == "0" || text == "1" || text == "true" || text == "false",
        "line {}: the third field is '{}', not 0 or 1: expected image_a,image_b,same[,reference_score]",
        row.line, text);
  return text == "1" || text == "true";
}

std::optional<float> parse_reference(const CsvRow& row) {
  if (row.fields.size() < 4 || row.fields[3].empty()) return std::nullopt;
  const std::string& text = row.fields[3];
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc() && end == text.data() + text.size() && std::isfinite(value),
        "line {}: the reference score '{}' is not a number", row.line, text);
  return value;
}

Dataset open_pairs(const std::string& path, const std::vector<CsvRow>& rows) {
  std::map<std::string, std::size_t> positions;
  for (const CsvRow& row : rows) {
    check((row.fields.size() == 3 || row.fields.size() == 4) && !row.fields[0].empty() &&
              !row.fields[1].empty(),
          "line {}: expected image_a,image_b,same[,reference_score]", row.line);
    positions[row.fields[0]];
    positions[row.fields[1]];
  }
  const fs::path root = root_of(path, rows.front().fields[0]);
  Dataset dataset = DatasetBuilder::make(DatasetKind::pairs, path, root.string());
  for (auto& [name, position] : positions) {
    position = dataset.size();
    DatasetBuilder::samples(dataset).push_back({name});
  }
  for (const CsvRow& row : rows) {
    DatasetBuilder::pairs(dataset).push_back(
        {positions.at(row.fields[0]), positions.at(row.fields[1]), parse_same(row), parse_reference(row)});
  }
  check_files(dataset.samples(), root);
  return dataset;
}

Dataset open_csv(const std::string& path, const DatasetOptions& options) {
  return with_context([&] { return fmt::format("file '{}'", path); },
                      [&] {
                        std::vector<CsvRow> rows = parse_csv(read_file(path, kMaxCsvBytes));
                        const std::size_t columns = rows.empty() ? 0 : rows.front().fields.size();
                        if (!rows.empty() && is_header(rows.front())) rows.erase(rows.begin());
                        check(!rows.empty(), "no rows: expected lines of file,class or image_a,image_b,same");
                        return columns >= 3 ? open_pairs(path, rows) : open_list(path, rows, options);
                      });
}

// "train-images-idx3-ubyte.gz" to "train-labels-idx1-ubyte.gz", compressed or not.
std::string labels_beside(const std::string& images) {
  std::string name = fs::path(images).filename().string();
  const auto replace = [&](std::string_view from, std::string_view to) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  };
  replace("images", "labels");
  replace("idx3", "idx1");
  replace("idx4", "idx1");
  const fs::path path = fs::path(images).parent_path() / name;
  if (path == fs::path(images)) return {};
  std::error_code ignored;
  const std::string other =
      name.ends_with(".gz") ? path.string().substr(0, path.string().size() - 3) : path.string() + ".gz";
  for (const std::string& candidate : {path.string(), other}) {
    if (fs::is_regular_file(candidate, ignored)) return candidate;
  }
  return {};
}

void add_stored_samples(Dataset& dataset, std::size_t count) {
  const std::string name = fs::path(dataset.path()).filename().string();
  for (std::size_t i = 0; i < count; ++i) {
    DatasetBuilder::samples(dataset).push_back({fmt::format("{}[{}]", name, i), -1, i});
  }
}

void add_idx_labels(Dataset& dataset, const std::string& path, const DatasetOptions& options) {
  const IdxArray labels = read_idx(path);
  check(labels.extents.size() == 1 && labels.values.size() == dataset.size(),
        "'{}' holds {} labels for {} images: give the labels that belong to them", path, labels.values.size(),
        dataset.size());
  int most = 0;
  for (std::size_t i = 0; i < dataset.size(); ++i) {
    DatasetBuilder::samples(dataset)[i].label = labels.values[i];
    most = std::max<int>(most, labels.values[i]);
  }
  std::vector<std::string>& classes = DatasetBuilder::classes(dataset);
  classes = options.classes;
  if (classes.empty()) {
    for (int i = 0; i <= most; ++i) classes.push_back(std::to_string(i));
  }
  check(most < static_cast<int>(classes.size()), "label {} is beyond the {} classes of the model", most,
        classes.size());
}

Dataset open_idx(const std::string& path, const DatasetOptions& options) {
  IdxArray images = read_idx(path);
  check(images.extents.size() == 3 || images.extents.size() == 4,
        "file '{}': IDX of {} dimensions, but images have 3 or 4: name the file of images", path,
        images.extents.size());
  const auto count = static_cast<std::size_t>(images.extents[0]);
  Dataset dataset = DatasetBuilder::make(DatasetKind::idx, path, {});
  with_context([&] { return fmt::format("file '{}'", path); },
               [&] { DatasetBuilder::store(dataset, images.extents, std::move(images.values)); });
  add_stored_samples(dataset, count);
  const std::string labels = options.labels.empty() ? labels_beside(path) : options.labels;
  if (!labels.empty()) add_idx_labels(dataset, labels, options);
  return dataset;
}

template <class T>
std::vector<std::uint8_t> floats_to_pixels(std::span<const T> values) {
  T most = 0;
  for (T value : values) {
    check(value >= 0 && value <= 255, "values must lie in 0..1 or 0..255, but one is {}: rescale the array",
          value);
    most = std::max(most, value);
  }
  const T factor = most <= 1 ? 255 : 1;
  std::vector<std::uint8_t> pixels;
  pixels.reserve(values.size());
  for (T value : values) pixels.push_back(static_cast<std::uint8_t>(std::lrint(value * factor)));
  return pixels;
}

std::vector<std::uint8_t> to_pixels(const Tensor& array) {
  switch (array.dtype()) {
    case DType::u8:
      return {array.values<std::uint8_t>().begin(), array.values<std::uint8_t>().end()};
    case DType::f32:
      return floats_to_pixels(array.values<float>());
    case DType::f64:
      return floats_to_pixels(array.values<double>());
    default:
      fail("elements are {}: save images as uint8, float32 or float64", to_string(array.dtype()));
  }
}

Dataset open_npy(const std::string& path) {
  const Tensor array = read_npy(path);
  Dataset dataset = DatasetBuilder::make(DatasetKind::array, path, {});
  with_context([&] { return fmt::format("array '{}'", path); },
               [&] {
                 check(array.shape().rank() == 3 || array.shape().rank() == 4,
                       "shape {} is not images x height x width [x channels]: save it so",
                       to_string(array.shape()));
                 const std::vector<std::int64_t> extents(array.shape().begin(), array.shape().end());
                 DatasetBuilder::store(dataset, extents, to_pixels(array));
               });
  add_stored_samples(dataset, static_cast<std::size_t>(array.shape()[0]));
  return dataset;
}

bool is_of_part(std::string_view name, std::string_view part) {
  return part == "train" ? name.starts_with("train") : name.starts_with("t10k") || name.starts_with("test");
}

// The IDX files of images in a folder: those of `part`, where there are such.
std::vector<std::string> idx_images_in(const fs::path& folder, const std::string& part) {
  std::vector<std::string> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    const bool named_so = name.find("idx3") != std::string::npos || name.find("idx4") != std::string::npos;
    if (named_so && is_idx_file(entry.path().string())) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> of_part;
  std::copy_if(found.begin(), found.end(), std::back_inserter(of_part),
               [&](const std::string& name) { return is_of_part(name, part); });
  return part.empty() || of_part.empty() ? found : of_part;
}

Dataset open_folder(const std::string& path, const DatasetOptions& options) {
  std::error_code ignored;
  for (const char* name : {"labels.csv", "pairs.csv"}) {
    const fs::path csv = fs::path(path) / name;
    if (fs::is_regular_file(csv, ignored)) return open_csv(csv.string(), options);
  }
  return with_context([&] { return fmt::format("folder '{}'", path); },
                      [&] {
                        const Listing listing = list_folder(path);
                        const bool has_classes = std::any_of(
                            listing.folders.begin(), listing.folders.end(), [&](const auto& name) {
                              return !list_folder(fs::path(path) / name).images.empty();
                            });
                        if (has_classes) {
                          check(listing.images.empty(),
                                "image '{}' lies beside class folders: move it into one, or name one folder",
                                listing.images.empty() ? std::string() : listing.images.front());
                          return open_class_folders(path, listing.folders, options);
                        }
                        if (!listing.images.empty()) return open_images(path, listing.images);
                        const std::vector<std::string> idx = idx_images_in(path, options.part);
                        check(idx.size() < 2, "holds several sets ('{}', '{}'): name one file",
                              idx.empty() ? "" : idx[0], idx.size() < 2 ? "" : idx[1]);
                        check(!idx.empty(),
                              "holds no image ({}), no class folders with images, no labels.csv or "
                              "pairs.csv, and no IDX files: name the folder of the images",
                              image_extensions());
                        return open_idx((fs::path(path) / idx.front()).string(), options);
                      });
}

}  // namespace

Dataset open_dataset(const std::string& given, const DatasetOptions& options) {
  std::error_code error;
  const bool is_name = given.find('/') == std::string::npos && !fs::exists(given, error);
  const fs::path installed = fs::path("/usr/share/datasets") / given;
  const std::string path = is_name && fs::is_directory(installed, error) ? installed.string() : given;
  const fs::file_status status = fs::status(path, error);
  check(fs::exists(status), "data '{}' does not exist: check the path{}", path,
        is_name ? fmt::format(", or install the data set of that name (in Debian 'dataset-{}')", given)
                : std::string());
  if (fs::is_directory(status)) return open_folder(path, options);
  check(fs::is_regular_file(status), "data '{}' is neither a file nor a folder", path);
  if (is_npy(MappedFile(path).bytes())) return open_npy(path);
  if (has_image_extension(path)) {
    const fs::path file(path);
    return open_images(file.has_parent_path() ? file.parent_path().string() : ".",
                       {file.filename().string()});
  }
  if (is_idx_file(path)) return open_idx(path, options);
  return open_csv(path, options);
}

}  // namespace eke
