#include "learn/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/atomic_file.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"

namespace eke {
namespace {

constexpr std::string_view kMagic = "eke checkpoint\n";
constexpr std::uint32_t kVersion = 2;
constexpr std::size_t kMaxBytes = std::size_t{1} << 34;

Tensor read_tensor(ByteReader& reader) {
  const auto dtype = reader.number<std::uint8_t>();
  check(dtype <= static_cast<std::uint8_t>(DType::boolean), "element type {} is unknown", dtype);
  const auto rank = reader.number<std::uint8_t>();
  check(rank <= Shape::kMaxRank, "rank {} is too high", rank);
  Shape shape;
  for (int i = 0; i < rank; ++i) shape.push_back(reader.number<std::int64_t>());
  const std::size_t size = byte_size(static_cast<DType>(dtype), shape);
  // The bytes are there before memory is taken for them.
  const std::string_view bytes = reader.raw(size);
  Tensor tensor(static_cast<DType>(dtype), shape);
  if (size > 0) std::memcpy(tensor.mutable_data(), bytes.data(), size);
  return tensor;
}

template <class T, class Write>
void write_map(ByteWriter& writer, const std::map<std::string, T>& map, Write&& write) {
  writer.number(static_cast<std::uint64_t>(map.size()));
  for (const auto& [name, value] : map) {
    writer.text(name);
    write(value);
  }
}

template <class T, class Read>
std::map<std::string, T> read_map(ByteReader& reader, Read&& read) {
  std::map<std::string, T> map;
  for (auto count = reader.number<std::uint64_t>(); count > 0; --count) {
    std::string name(reader.text());
    map[std::move(name)] = read();
  }
  return map;
}

// Before each tensor, and behind the last.
enum class Mark : std::uint8_t { end, tensor };

// Hands the bytes on as they come, and their sum at the end.
class Encoder {
 public:
  using Sink = std::function<void(std::string_view)>;
  explicit Encoder(Sink sink) : sink_(std::move(sink)) {}

  void begin() {
    ByteWriter head;
    head.raw(kMagic);
    head.number(kVersion);
    sink_(head.bytes());
  }
  void fields(const Checkpoint& checkpoint) {
    ByteWriter body;
    body.number(checkpoint.network);
    body.text(checkpoint.settings);
    write_map(body, checkpoint.counters, [&](std::int64_t value) { body.number(value); });
    write_map(body, checkpoint.figures, [&](double value) { body.number(value); });
    put(body.bytes());
  }
  void tensor(const std::string& name, const Tensor& tensor) {
    ByteWriter head;
    head.number(static_cast<std::uint8_t>(Mark::tensor));
    head.text(name);
    head.number(static_cast<std::uint8_t>(tensor.dtype()));
    head.number(static_cast<std::uint8_t>(tensor.shape().rank()));
    for (const std::int64_t extent : tensor.shape()) head.number(extent);
    put(head.bytes());
    put({static_cast<const char*>(tensor.data()), tensor.bytes()});
  }
  void end() {
    const char mark = static_cast<char>(Mark::end);
    put({&mark, 1});
    sink_({reinterpret_cast<const char*>(&hash_), sizeof hash_});
  }

 private:
  void put(std::string_view bytes) {
    hash_ = hash_bytes(bytes, hash_);
    sink_(bytes);
  }

  Sink sink_;
  std::uint64_t hash_ = kHashStart;
};

void encode(const Checkpoint& checkpoint, const EachTensor& more, Encoder::Sink sink) {
  Encoder encoder(std::move(sink));
  encoder.begin();
  encoder.fields(checkpoint);
  for (const auto& [name, tensor] : checkpoint.tensors) encoder.tensor(name, tensor);
  if (more) more([&](const std::string& name, const Tensor& tensor) { encoder.tensor(name, tensor); });
  encoder.end();
}

std::map<std::string, Tensor> read_tensors(ByteReader& reader) {
  std::map<std::string, Tensor> tensors;
  for (;;) {
    const auto mark = reader.number<std::uint8_t>();
    if (mark == static_cast<std::uint8_t>(Mark::end)) return tensors;
    check(mark == static_cast<std::uint8_t>(Mark::tensor), "the mark {} is unknown", mark);
    std::string name(reader.text());
    tensors[std::move(name)] = read_tensor(reader);
  }
}

// The first line in which two texts of settings differ.
std::string first_difference(std::string_view a, std::string_view b) {
  while (!a.empty() || !b.empty()) {
    const std::string_view line_a = a.substr(0, a.find('\n')), line_b = b.substr(0, b.find('\n'));
    if (line_a != line_b) return fmt::format("'{}' then, '{}' now", line_a, line_b);
    a.remove_prefix(std::min(a.size(), line_a.size() + 1));
    b.remove_prefix(std::min(b.size(), line_b.size() + 1));
  }
  return "nothing";
}

}  // namespace

std::string to_bytes(const Checkpoint& checkpoint) {
  std::string bytes;
  encode(checkpoint, {}, [&](std::string_view part) { bytes.append(part); });
  return bytes;
}

Checkpoint parse_checkpoint(std::string_view bytes) {
  check(bytes.starts_with(kMagic), "it is no checkpoint");
  ByteReader header(bytes.substr(kMagic.size()));
  const auto version = header.number<std::uint32_t>();
  check(version == kVersion, "it is of version {}, this program reads version {}: begin anew", version,
        kVersion);
  check(header.left() > sizeof(std::uint64_t), "it ends before its sum");
  const std::string_view body = header.raw(header.left() - sizeof(std::uint64_t));
  check(hash_bytes(body) == header.number<std::uint64_t>(),
        "it is damaged: its bytes do not match their sum");
  ByteReader reader(body);
  Checkpoint checkpoint;
  checkpoint.network = reader.number<std::uint64_t>();
  checkpoint.settings = reader.text();
  checkpoint.counters = read_map<std::int64_t>(reader, [&] { return reader.number<std::int64_t>(); });
  checkpoint.figures = read_map<double>(reader, [&] { return reader.number<double>(); });
  checkpoint.tensors = read_tensors(reader);
  check(reader.left() == 0, "{} bytes follow its end", reader.left());
  return checkpoint;
}

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint, const EachTensor& more) {
  with_context([] { return std::string("checkpoint"); },
               [&] {
                 AtomicFile file(path);
                 encode(checkpoint, more, [&](std::string_view bytes) { file.write(bytes); });
                 file.commit();
               });
}

Checkpoint load_checkpoint(const std::string& path, std::uint64_t network, const std::string& settings) {
  return with_context(
      [&] { return fmt::format("checkpoint '{}'", path); },
      [&] {
        Checkpoint checkpoint = parse_checkpoint(read_file(path, kMaxBytes));
        check(checkpoint.network == network,
              "it belongs to another network: resume with the model that the training began with, "
              "or remove it");
        check(checkpoint.settings == settings,
              "it was made with other settings ({}): resume with those, or remove it",
              first_difference(checkpoint.settings, settings));
        return checkpoint;
      });
}

}  // namespace eke
