#include "learn/transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "learn/testing/halves.h"
#include "ops/infer.h"

namespace eke {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kStem =
    "graph \"g\"\n"
    "input %x: f32[?,3,8,8] dims(\"N\",\"\",\"\",\"\")\n"
    "const %w: f32[2,3,1,1] = [0.01,0.02,0.01,-0.01,0.03,0.01]\n"
    "%c: f32[] = Conv \"stem\" (%x, %w)\n"
    "%p: f32[] = AveragePool \"pool\" (%c) {kernel_shape=[8,4] strides=[8,4]}\n"
    "%f: f32[] = Flatten \"flat\" (%p)\n";
constexpr const char* kFc =
    "const %v: f32[3,4] = [1,2,3,4,5,6,7,8,9,1,2,3]\n"
    "%y: f32[] = Gemm \"fc\" (%f, %v) {transB=1}\n";

Graph network(const std::string& tail) { return parse_text(std::string(kStem) + tail); }

Graph typed(const Graph& graph) {
  Bindings bindings;
  bindings.shapes[""] = {1, 3, 8, 8};
  return specialize(graph, bindings);
}

TEST(FindHead, ClassifiersAndEmbeddings) {
  const struct {
    std::string tail;
    const char* features;
    bool cuts;
  } kCases[] = {
      {std::string(kFc) + "output %y\n", "f", true},
      {std::string(kFc) + "%s: f32[] = Softmax \"s\" (%y)\noutput %s\n", "f", true},
      {std::string(kFc) + "%n: f32[] = LpNormalization \"n\" (%y)\noutput %n\n", "n", false},
      {"const %v: f32[2,2,1,1] = [1,2,3,4]\n%q: f32[] = Conv \"q\" (%c, %v)\n%g: f32[] = GlobalAveragePool "
       "\"g\" "
       "(%q)\n%y: f32[] = Flatten \"fl\" (%g)\noutput %y\n",
       "c", true},
  };
  for (const auto& c : kCases) {
    const HeadPlace place = find_head(typed(network(c.tail)));
    EXPECT_EQ(place.features, c.features) << c.tail;
    EXPECT_EQ(place.cuts_classifier, c.cuts) << c.tail;
  }
  const Graph graph = typed(network(std::string(kFc) + "output %y\n"));
  EXPECT_THAT(find_head(graph).leaves, ElementsAre("fc"));
  EXPECT_EQ(find_head(graph, "p").features, "p");
  EXPECT_THROW(find_head(graph, "nothing"), Error);
  EXPECT_THROW(find_head(typed(parse_text("graph \"g\"\ninput %x: f32[1,3,8,8]\n%y: f32[] = Relu \"r\" (%x)\n"
                                          "output %y\n"))),
               Error);
}

TEST(WithHead, ReplacesTheClassifierAndPoolsMaps) {
  const Graph graph = network(std::string(kFc) + "output %y\n");
  ClassHead head{Tensor::from<float>({2, 4}, {1, 0, 0, 0, 0, 1, 0, 0}), Tensor::from<float>({2}, {5, 6}),
                 false};
  Tensor image(DType::f32, {1, 3, 8, 8});
  for (float& x : image.mutable_values<float>()) x = 1;
  const Tensor features = evaluate(typed(backbone_of(graph, find_head(typed(graph)))), {image}).at(0);
  EXPECT_EQ(features.shape(), Shape({1, 4}));
  const Tensor logits = evaluate(typed(with_head(graph, find_head(typed(graph)), head)), {image}).at(0);
  EXPECT_EQ(logits.values<float>()[0], features.values<float>()[0] + 5);
  EXPECT_EQ(logits.values<float>()[1], features.values<float>()[1] + 6);
  // A map is averaged over its extents.
  ClassHead on_map{Tensor::from<float>({1, 2}, {1, 1}), {}, true};
  const Graph mapped = with_head(graph, find_head(typed(graph), "c"), on_map);
  EXPECT_EQ(evaluate(typed(mapped), {image}).at(0).shape(), Shape({1, 1}));
}

TEST(ValuesFrom, NamesTheConstantsOfLaterNodes) {
  const Graph graph = network(std::string(kFc) + "output %y\n");
  EXPECT_THAT(values_from(graph, "fc"), ElementsAre("v"));
  EXPECT_THAT(values_from(graph, "c"), ElementsAre("w", "v"));
  EXPECT_THROW(values_from(graph, "nothing"), UsageError);
}

TEST(TrainHead, LearnsHalvesWithEitherBackboneAndKeepsFeatures) {
  const Halves halves;
  const Threads threads(2);
  const FittedImages images(halves.open(), small_preprocess(), threads);
  const Graph graph = network(std::string(kFc) + "output %y\n");
  for (const BackboneKind kind : {BackboneKind::int8, BackboneKind::f32}) {
    const std::string file = halves.path(kind == BackboneKind::int8 ? "i" : "f");
    const TransferOptions options{.head = {.kind = HeadKind::ridge}, .backbone = kind, .feature_file = file};
    const Transferred first = train_head(graph, images, &images, options, threads);
    EXPECT_FALSE(first.features_from_disk);
    EXPECT_EQ(first.feature_size, 4u);
    EXPECT_EQ(first.validation_correct, 24u);
    EXPECT_EQ(count_correct(first.graph, images, threads), 24u);
    EXPECT_GT(first.margin, 0.5);
    EXPECT_EQ(count_correct(ready_to_tune(first), images, threads), 24u);
    EXPECT_NE(ready_to_tune(first), first.graph);
    const Transferred second = train_head(graph, images, &images, options, Threads(1));
    EXPECT_TRUE(second.features_from_disk);
    EXPECT_EQ(second.graph, first.graph);
    std::filesystem::resize_file(file, 100);
    const Transferred third = train_head(graph, images, &images, options, threads);
    EXPECT_FALSE(third.features_from_disk);
    EXPECT_EQ(third.graph, first.graph);
  }
}

TEST(Features, KeysTellNetworksAndImagesApart) {
  const Halves halves;
  const Threads threads(1);
  const FittedImages images(halves.open(), small_preprocess(), threads);
  const Graph graph = network(std::string(kFc) + "output %y\n");
  const std::uint64_t key = features_key(graph, images);
  EXPECT_EQ(features_key(graph, images), key);
  EXPECT_NE(features_key(graph, images.select({0, 1})), key);
  Preprocess other = small_preprocess();
  other.mean = {1, 1, 1};
  EXPECT_NE(features_key(graph, FittedImages(halves.open(), other, threads)), key);
  EXPECT_NE(features_key(backbone_of(graph, find_head(typed(graph))), images), key);
}

TEST(OpenedFor, KeepsABatchOfOneWhereTheGraphIsWrittenForIt) {
  const Graph graph = network(std::string(kFc) + "output %y\n");
  EXPECT_EQ(opened_for(graph, small_preprocess())[graph.inputs[0]].type.shape[0], kDynamic);
  const Graph fixed = parse_text(
      "graph \"g\"\ninput %x: f32[1,3,8,8]\nconst %s: i64[2] = [1,192]\n%y: f32[] = Reshape \"r\" (%x, "
      "%s)\noutput "
      "%y\n");
  EXPECT_EQ(opened_for(fixed, small_preprocess())[fixed.inputs[0]].type.shape[0], 1);
  // Simplified, its reshape serves any number.
  const Graph bound = bound_to(fixed, small_preprocess(), 8);
  EXPECT_EQ(bound[bound.inputs[0]].type.shape, (Shape{8, 3, 8, 8}));
  EXPECT_EQ(bound[bound.outputs[0]].type.shape, (Shape{8, 192}));
}

}  // namespace
}  // namespace eke
