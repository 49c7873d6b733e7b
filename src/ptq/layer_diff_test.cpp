#include "ptq/layer_diff.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "ops/infer.h"

namespace eke {
namespace {

TEST(Noise, IsTheRatioOfEnergies) {
  const struct {
    std::vector<float> reference, test;
    double db, cosine;
  } cases[] = {{{3, 4}, {3, 4}, std::numeric_limits<double>::infinity(), 1},
               {{10, 0}, {11, 0}, 20, 1},
               {{1, 0}, {0, 1}, -3.0103, 0},
               {{1, 1}, {0, 0}, 0, 0}};
  for (const auto& c : cases) {
    Noise noise;
    noise.add(c.reference, c.test);
    noise.add(c.reference, c.test);
    EXPECT_EQ(std::isinf(noise.db()), std::isinf(c.db));
    if (std::isfinite(c.db)) {
      EXPECT_NEAR(noise.db(), c.db, 1e-4);
    }
    EXPECT_NEAR(noise.cosine(), c.cosine, 1e-12);
  }
  EXPECT_THROW(Noise().add(std::vector<float>{1}, std::vector<float>{1, 2}), Error);
}

// x times one number and then times another; `y` is what the result is called.
Graph chain(const std::string& first, const std::string& second, const char* y = "y") {
  return infer_types(parse_text("graph \"g\"\ninput %x: f32[1,2]\nconst %a: f32[1] = [" + first +
                                "]\nconst %b: f32[1] = [" + second +
                                "]\n%m: f32[1,2] = Mul \"m\" (%x, %a)\n%" + y +
                                ": f32[1,2] = Mul \"n\" (%m, %b)\noutput %" + y + "\n"));
}

TEST(LayerDiff, TellsWhatALayerDoesFromWhatHasComeTogether) {
  const Threads one(1);
  const std::vector<float> image{1, -2};
  const struct {
    const char* what;
    Graph test;
    double first_alone, second_alone, second_all;  // in dB
  } cases[] = {{"the first is a tenth larger", chain("2.2", "3"), 20, 1e9, 20},
               {"the second is", chain("2", "3.3"), 1e9, 20, 20},
               {"both are", chain("2.2", "3.3"), 20, 20, 13.5556},
               {"the same", chain("2", "3"), 1e9, 1e9, 1e9}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    LayerDiff diff(chain("2", "3"), c.test, one);
    EXPECT_EQ(diff.batch(), 1);
    EXPECT_EQ(diff.row_size(), 2);
    diff.add(image);
    ASSERT_EQ(diff.layers().size(), 2u);
    const auto near = [](const Noise& noise, double db) {
      return db > 100 ? noise.db() > 100 : std::abs(noise.db() - db) < 1e-3;
    };
    EXPECT_EQ(diff.layers()[0].value, "m");
    EXPECT_TRUE(near(diff.layers()[0].isolated, c.first_alone)) << diff.layers()[0].isolated.db();
    EXPECT_TRUE(near(diff.layers()[0].accumulated, c.first_alone)) << diff.layers()[0].accumulated.db();
    EXPECT_TRUE(near(diff.layers()[1].isolated, c.second_alone)) << diff.layers()[1].isolated.db();
    EXPECT_TRUE(near(diff.layers()[1].accumulated, c.second_all)) << diff.layers()[1].accumulated.db();
  }
}

TEST(LayerDiff, RefusesModelsThatAreNotTwoFormsOfOne) {
  const Threads one(1);
  Graph other = chain("2", "3", "z");
  other[find_value(other, "m")].name = "w";
  EXPECT_THROW(LayerDiff(chain("2", "3"), other, one), Error);
}

}  // namespace
}  // namespace eke
