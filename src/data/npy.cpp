#include "data/npy.h"

#include <cctype>
#include <charconv>
#include <cstring>

#include "base/file.h"

namespace eke {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeaderBytes = 1 << 16;

struct Kind {
  DType dtype;
  std::string_view code;  // without the sign of the byte order
};

constexpr Kind kKinds[] = {{DType::f32, "f4"}, {DType::f64, "f8"}, {DType::f16, "f2"},
                           {DType::i8, "i1"},  {DType::u8, "u1"},  {DType::i16, "i2"},
                           {DType::u16, "u2"}, {DType::i32, "i4"}, {DType::u32, "u4"},
                           {DType::i64, "i8"}, {DType::u64, "u8"}, {DType::boolean, "b1"}};

DType dtype_of_descr(std::string_view descr) {
  check(descr.size() >= 2 && descr[0] != '>', "elements '{}' are big-endian: save them with astype('<f4')",
        descr);
  for (const Kind& kind : kKinds) {
    if (kind.code == descr.substr(1)) return kind.dtype;
  }
  fail("elements of type '{}' are not supported: save numbers, for example with astype('<f4')", descr);
}

// The header is a Python dictionary literal with exactly the keys descr, fortran_order and shape.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  Type read() {
    Type type;
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr") {
        type.dtype = dtype_of_descr(quoted());
        has_descr = true;
      } else if (key == "fortran_order") {
        check(word() == "False", "the array is in Fortran order: save numpy.ascontiguousarray of it");
        has_order = true;
      } else if (key == "shape") {
        type.shape = shape();
        has_shape = true;
      } else {
        fail("the header has an unknown key '{}': save the array again", key);
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    check(has_descr && has_order && has_shape,
          "the header lacks descr, fortran_order or shape: save the array again");
    return type;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) { check(accept(c), "the header lacks '{}' at byte {}: save the array again", c, at_); }

  std::string_view quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const std::size_t end = text_.find(quote, at_);
    check(end != std::string_view::npos, "the header has an open string: save the array again");
    const std::string_view result = text_.substr(at_, end - at_);
    at_ = end + 1;
    return result;
  }

  std::string_view word() {
    skip_space();
    const std::size_t begin = at_;
    while (at_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[at_]))) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  Shape shape() {
    Shape result;
    expect('(');
    while (!accept(')')) {
      const std::string_view digits = word();
      std::int64_t extent = -1;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), extent);
      check(error == std::errc() && end == digits.data() + digits.size() && extent >= 0,
            "the header has an extent that is not a number: save the array again");
      result.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return result;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Tensor parse(std::string_view bytes) {
  check(bytes.size() >= 10, "the file is truncated: save the array again");
  const auto at = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
  };
  const std::size_t version = at(6);
  check(version >= 1 && version <= 3, "version {} is not supported: save the array again", version);
  const std::size_t header_at = version == 1 ? 10 : 12;
  check(bytes.size() >= header_at, "the file is truncated: save the array again");
  const std::size_t header_size =
      version == 1 ? at(8) | at(9) << 8 : at(8) | at(9) << 8 | at(10) << 16 | at(11) << 24;
  check(header_size <= kMaxHeaderBytes && header_size <= bytes.size() - header_at,
        "the header of {} bytes is truncated or too long: save the array again", header_size);
  const Type type = HeaderReader(bytes.substr(header_at, header_size)).read();
  const std::size_t size = byte_size(type.dtype, type.shape);
  const std::string_view data = bytes.substr(header_at + header_size);
  check(data.size() == size, "{} needs {} bytes but {} follow: save the array again", to_string(type), size,
        data.size());
  Tensor tensor(type);
  if (size > 0) std::memcpy(tensor.mutable_data(), data.data(), size);
  return tensor;
}

std::string descr_of(DType dtype) {
  for (const Kind& kind : kKinds) {
    if (kind.dtype == dtype) return fmt::format("{}{}", size_of(dtype) == 1 ? "|" : "<", kind.code);
  }
  fail("{} has no .npy type: convert it to f32", to_string(dtype));
}

}  // namespace

bool is_npy(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

Tensor parse_npy(std::span<const std::byte> bytes, std::string_view name) {
  return with_context([&] { return fmt::format("array '{}'", name); },
                      [&] {
                        check(is_npy(bytes), "not a .npy file: save the array with numpy.save");
                        return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
                      });
}

Tensor read_npy(const std::string& path) { return parse_npy(MappedFile(path).bytes(), path); }

std::string to_npy(const TensorView& tensor) {
  std::string shape;
  for (std::int64_t extent : tensor.shape()) shape += fmt::format("{}, ", extent);
  if (tensor.shape().rank() > 1) shape.resize(shape.size() - 2);
  if (tensor.shape().rank() == 1) shape.pop_back();
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                                   descr_of(tensor.dtype()), shape);
  // Magic, version and size take 10 bytes; the data start at a multiple of 64, after a line feed.
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes(kMagic);
  bytes += {'\x01', '\x00', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  bytes += header;
  const std::size_t size = size_of(tensor.dtype()) * static_cast<std::size_t>(tensor.count());
  bytes.append(static_cast<const char*>(tensor.data), size);
  return bytes;
}

void write_npy(const std::string& path, const TensorView& tensor) {
  write_file_atomically(path, to_npy(tensor));
}

}  // namespace eke
