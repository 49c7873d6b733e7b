#include "target/calibration_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "base/error.h"

namespace eke {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Lines as TensorRT 8.4.1 wrote them.
constexpr const char* kRecorded =
    "TRT-8401-EntropyCalibration2\n"
    "input: 3caa54fc\n"
    "371: 3caa54fc\n"
    "380: 3cbe52af\n"
    "(Unnamed Layer* 64) [Shuffle]_output: 0\n"
    "366: 0\n"
    "404: 3d5c11b5\n";

TEST(CalibrationCacheTest, WritesWhatItReads) {
  const CalibrationCache cache = parse_calibration_cache(kRecorded);
  EXPECT_EQ(to_text(cache), kRecorded);
  ASSERT_EQ(cache.entries.size(), 6u);
  EXPECT_EQ(cache.entries[3].tensor, "(Unnamed Layer* 64) [Shuffle]_output");
  EXPECT_NEAR(cache.entries[0].scale, 0.0207925, 1e-7);
}

TEST(CalibrationCacheTest, NamesMayHoldAnything) {
  const CalibrationCache cache{
      "TRT-8602-EntropyCalibration2",
      {{"StatefulPartitionedCall/model:0", 0.5f}, {"a: b", 0.25f}, {" spaces [x] ", 1}, {"é", 2}}};
  EXPECT_EQ(parse_calibration_cache(to_text(cache)).entries, cache.entries);
}

TEST(CalibrationCacheTest, HeadersOfVersions) {
  const std::pair<TensorRtVersion, const char*> cases[] = {{{7, 1, 3}, "TRT-7103-EntropyCalibration2"},
                                                           {{8, 4, 1}, "TRT-8401-EntropyCalibration2"},
                                                           {{8, 6, 2}, "TRT-8602-EntropyCalibration2"},
                                                           {{10, 3, 0}, "TRT-100300-EntropyCalibration2"},
                                                           {{10, 14, 1}, "TRT-101401-EntropyCalibration2"}};
  for (const auto& [version, header] : cases) EXPECT_EQ(cache_header(version), header);
}

TEST(CalibrationCacheTest, RefusesOtherText) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "empty"},
      {"input: 3caa54fc\n", "line 1"},
      {"TRT-8401-EntropyCalibration2\ninput 3caa54fc\n", "line 2"},
      {"TRT-8401-EntropyCalibration2\ninput: 3caa54fcff\n", "hexadecimal"},
      {"TRT-8401-EntropyCalibration2\ninput: x\n", "hexadecimal"},
      {"TRT-8401-EntropyCalibration2\na: 0\ninput: 7fc00000\n", "line 3"},
      {"TRT-8401-EntropyCalibration2\ninput: bf800000\n", "scale"},
  };
  for (const auto& [text, word] : cases)
    EXPECT_THAT([&text = text] { parse_calibration_cache(text); }, ThrowsMessage<Error>(HasSubstr(word)))
        << text;
}

}  // namespace
}  // namespace eke
