#include "onnx/model_bytes.h"

#include <google/protobuf/io/coded_stream.h>

#include <limits>
#include <string>

#include "base/error.h"

namespace eke::onnx {
namespace {

using Bytes = std::span<const std::byte>;

// Deeper than any model: graphs within attributes are refused anyway.
constexpr int kMaxDepth = 64;

// Of the messages ModelProto, GraphProto and TensorProto.
constexpr std::uint32_t kGraph = 7, kInitializer = 5, kRawData = 9;

// The encoding: https://protobuf.dev/programming-guides/encoding/
enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

[[noreturn]] void fail_damaged(Bytes file, const std::byte* at) {
  fail("is no ONNX model, or is cut short or damaged (after {} of {} bytes)", at - file.data(), file.size());
}

// The fields of one message of a file, in their order.
class FieldReader {
 public:
  FieldReader(Bytes file, Bytes message) : file_(file), message_(message) {}

  struct Field {
    std::uint32_t number = 0;
    Wire wire = Wire::varint;
    Bytes whole, content;  // with its tag; of Wire::bytes, what it holds
  };

  bool next(Field& field) {
    if (at_ == message_.size()) return false;
    const std::size_t begin = at_;
    const std::uint64_t tag = varint();
    field.number = static_cast<std::uint32_t>(tag >> 3);
    field.wire = static_cast<Wire>(tag & 7);
    field.content = {};
    switch (field.wire) {
      case Wire::varint:
        varint();
        break;
      case Wire::fixed64:
        take(8);
        break;
      case Wire::bytes:
        field.content = take(varint());
        break;
      case Wire::fixed32:
        take(4);
        break;
      default:
        damaged();  // groups: ONNX has none
    }
    field.whole = message_.subspan(begin, at_ - begin);
    return true;
  }

 private:
  Bytes take(std::uint64_t size) {
    if (size > message_.size() - at_) damaged();
    const Bytes bytes = message_.subspan(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size);
    return bytes;
  }

  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint64_t>(take(1)[0]);
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
    damaged();
  }

  [[noreturn]] void damaged() const { fail_damaged(file_, message_.data() + at_); }

  Bytes file_, message_;
  std::size_t at_ = 0;
};

// Serialized fields, one after the other, are a message: so a message can be left without some of its fields.
void append(std::string& fields, Bytes field) {
  fields.append(reinterpret_cast<const char*>(field.data()), field.size());
}

class Parser {
 public:
  explicit Parser(Bytes file) : file_(file) {}

  ModelParts run() {
    split(file_, parts_.model, kGraph, [&](Bytes graph) {
      split(graph, *parts_.model.mutable_graph(), kInitializer, [&](Bytes tensor) {
        parts_.raw.emplace_back();
        split(tensor, *parts_.model.mutable_graph()->add_initializer(), kRawData,
              [&](Bytes raw) { parts_.raw.back() = raw; });
      });
    });
    return std::move(parts_);
  }

 private:
  // Parses a message but for its fields `number`, which `take` gets.
  template <class Message, class F>
  void split(Bytes bytes, Message& message, std::uint32_t number, F&& take) {
    FieldReader reader(file_, bytes);
    FieldReader::Field field;
    std::string rest;
    while (reader.next(field)) {
      if (field.number == number && field.wire == Wire::bytes)
        take(field.content);
      else
        append(rest, field.whole);
    }
    google::protobuf::io::CodedInputStream stream(reinterpret_cast<const std::uint8_t*>(rest.data()),
                                                  static_cast<int>(rest.size()));
    stream.SetRecursionLimit(kMaxDepth);
    if (!message.MergePartialFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
      fail_damaged(file_, bytes.data() + bytes.size());
  }

  Bytes file_;
  ModelParts parts_;
};

}  // namespace

ModelParts parse_model(Bytes bytes) {
  check(bytes.size() < static_cast<std::size_t>(std::numeric_limits<int>::max()),
        "{} bytes are more than the 2 GiB that one ONNX file can hold; save the model with external data "
        "(onnx.save_model(..., save_as_external_data=True))",
        bytes.size());
  return Parser(bytes).run();
}

}  // namespace eke::onnx
