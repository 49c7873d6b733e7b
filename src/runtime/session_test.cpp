#include "runtime/session.h"

#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "ops/infer.h"

namespace eke {
namespace {

Graph sums() {
  return infer_types(
      parse_text("graph \"g\"\n"
                 "input %x: f32[2,3]\n"
                 "const %w: f32[3,2] = [1,0,0,1,1,1]\n"
                 "%s: f32[2,2] = MatMul \"sums\" (%x, %w)\n"
                 "%y: f32[2,2] = Relu \"relu\" (%s)\n"
                 "output %y\n"));
}

TEST(Session, RunsRowsAndFillsTheRestOfTheBatchWithZeros) {
  const Threads one(1);
  Session session(sums(), one);
  EXPECT_EQ(session.batch(), 2);
  EXPECT_EQ(session.row_size(), 3);
  const struct {
    std::vector<float> rows, first, second;
  } cases[] = {{{1, 2, 3, 4, 5, 6}, {4, 5}, {10, 11}}, {{1, 2, 3}, {4, 5}, {0, 0}}, {{}, {0, 0}, {0, 0}}};
  for (const auto& c : cases) {
    session.run_rows(c.rows);
    EXPECT_EQ(session.output_row(0, 0), c.first);
    EXPECT_EQ(session.output_row(0, 1), c.second);
    std::vector<float> all = c.first;
    all.insert(all.end(), c.second.begin(), c.second.end());
    EXPECT_EQ(session.output_values(0), all);
  }
  std::vector<std::int64_t> step_ns(session.plan().steps().size(), -1);
  session.run_again(step_ns);
  for (const std::int64_t ns : step_ns) EXPECT_GE(ns, 0);
}

TEST(Session, GivesTheValuesThatAreObserved) {
  const Threads one(1);
  Session session(sums(), one, {.observe = {"s"}});
  std::vector<std::vector<float>> seen;
  session.run_rows_observed(std::vector<float>{-1, 1, 0, 0, 2, -3},
                            [&](std::size_t index, std::vector<float> values) {
                              EXPECT_EQ(index, 0u);
                              seen.push_back(std::move(values));
                            });
  EXPECT_EQ(seen, (std::vector<std::vector<float>>{{-1, 1, -3, -1}}));
  EXPECT_EQ(session.output_values(0), (std::vector<float>{0, 1, 0, 0}));
}

TEST(Session, RefusesInputsOfAnotherTypeAndEmptyOnes) {
  const Threads one(1);
  Session session(sums(), one);
  for (const Type& type : {Type{DType::f32, {1, 3}}, Type{DType::u8, {2, 3}}})
    EXPECT_THROW(session.run({Tensor(type)}), Error) << to_string(type);
  EXPECT_THROW(session.run({}), Error);
  EXPECT_THROW(check_has_elements({1, 3, 0, 8}), Error);
}

TEST(RandomTensor, IsTheSameForASeedAndCoversTheRangeOfItsType) {
  for (const DType dtype : {DType::f32, DType::u8, DType::i8}) {
    const Type type{dtype, {1000}};
    const Tensor tensor = random_tensor(type, 1);
    EXPECT_EQ(tensor, random_tensor(type, 1));
    EXPECT_NE(tensor, random_tensor(type, 2));
    std::set<double> values;
    for (std::int64_t i = 0; i < 1000; ++i) values.insert(element_as_double(tensor.view(), i));
    const double lo = dtype == DType::f32 ? -1 : dtype == DType::i8 ? -128 : 0;
    const double hi = dtype == DType::f32 ? 1.01 : lo + 255;
    EXPECT_GE(*values.begin(), lo);
    EXPECT_LE(*values.rbegin(), hi);
    EXPECT_GT(values.size(), 200u);
  }
}

}  // namespace
}  // namespace eke
