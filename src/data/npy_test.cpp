#include "data/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"

namespace eke {
namespace {

using ::testing::HasSubstr;

Tensor parse(std::string_view bytes) { return parse_npy(std::as_bytes(std::span(bytes)), "test.npy"); }

std::string file(const std::string& header, const std::string& data, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) bytes += static_cast<char>(header.size() >> (8 * i));
  return bytes + header + data;
}

std::string error_of(std::string_view bytes) {
  try {
    parse(bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Npy, RoundTripsEveryElementType) {
  const Tensor tensors[] = {
      Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6}),
      Tensor::from<double>({1}, {1.5}),
      Tensor::from<std::int8_t>({2, 1, 2}, {-1, 2, -3, 4}),
      Tensor::from<std::uint8_t>({3}, {1, 2, 255}),
      Tensor::from<std::int16_t>({2}, {-300, 300}),
      Tensor::from<std::uint16_t>({2}, {1, 65535}),
      Tensor::from<std::int32_t>({2}, {-70000, 5}),
      Tensor::from<std::uint32_t>({1}, {1u << 31}),
      Tensor::from<std::int64_t>({1, 1}, {-1}),
      Tensor::from<std::uint64_t>({1}, {7}),
      Tensor::from<bool>({2}, {true, false}),
      Tensor::scalar<float>(3),
      Tensor(DType::f16, {2, 2}),
      Tensor(DType::f32, {0, 3}),
  };
  for (const Tensor& tensor : tensors) {
    const std::string bytes = to_npy(tensor.view());
    EXPECT_TRUE(parse(bytes) == tensor) << to_string(tensor.type());
    EXPECT_EQ((bytes.size() - tensor.bytes()) % 64, 0u);
  }
  EXPECT_THROW(to_npy(Tensor(DType::bf16, {1}).view()), Error);
}

TEST(Npy, WritesWhatNumpyWrites) {
  const std::string bytes = to_npy(Tensor::from<std::int64_t>({3}, {0, 1, 2}).view());
  EXPECT_EQ(bytes.substr(10, 57), "{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }");
  EXPECT_EQ(bytes.size(), 128u + 24u);
  EXPECT_EQ(bytes[127], '\n');
}

TEST(Npy, ReadsOtherVersionsAndSpellings) {
  const std::string data(8, '\0');
  const char* kHeader = "{ \"shape\":(2,),'fortran_order':False ,'descr':'<f4' }\n";
  for (int version : {1, 2, 3}) EXPECT_EQ(parse(file(kHeader, data, version)).shape(), Shape({2}));
}

TEST(Npy, RefusesEveryTruncation) {
  const std::string bytes = to_npy(Tensor::from<float>({2}, {1, 2}).view());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(parse(bytes.substr(0, size)), Error) << size;
}

TEST(Npy, SaysWhatIsWrong) {
  const std::string data(8, '\0');
  const struct {
    std::string bytes;
    const char* says;
  } kRows[] = {
      {"hello", "not a .npy file"},
      {file("{'descr': '<f4', 'fortran_order': True, 'shape': (2,), }", data), "Fortran"},
      {file("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", data), "big-endian"},
      {file("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", data), "'<c8'"},
      {file("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", data), "not supported"},
      {file("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", data), "header"},
      {file("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", data),
       "needs 12 bytes but 8 follow"},
      {file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", data), "needs 4 bytes but 8 follow"},
      {file("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", data), "extent"},
      {file("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", data), ""},
      {file("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", data), ""},
      {file("{'descr': '<f4', 'fortran_order': False}", data), "lacks"},
      {file("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 'y'}", data), "unknown key 'x'"},
      {file("{'descr", data), "open string"},
      {file("", data), "lacks"},
      {file("{}", data, 9), "version 9"},
  };
  for (const auto& row : kRows) {
    EXPECT_THAT(error_of(row.bytes), HasSubstr("test.npy")) << row.bytes;
    EXPECT_THAT(error_of(row.bytes), HasSubstr(row.says));
  }
}

TEST(Npy, WritesFilesThatItReads) {
  const std::string path = ::testing::TempDir() + "/eke_npy_test.npy";
  const Tensor tensor = Tensor::from<float>({2, 2}, {1, 2, 3, 4});
  write_npy(path, tensor.view());
  EXPECT_TRUE(read_npy(path) == tensor);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace eke
