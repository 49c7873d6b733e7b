// The tactic that takes everything: OpDef::eval on plain tensors.
#include <memory>

#include "ops/op_def.h"
#include "runtime/tactic.h"

namespace eke {
namespace {

class ReferenceStep : public Step {
 public:
  explicit ReferenceStep(const Query& query) : op_(query.node.op), eval_(def(op_).eval) {
    for (ValueId id : query.node.in) {
      in_.push_back(id == kNoValue ? Type{} : query.graph[id].type);
      present_.push_back(id != kNoValue);
    }
    for (ValueId id : query.node.out) {
      out_.push_back(id == kNoValue ? Type{} : query.graph[id].type);
      wanted_.push_back(id != kNoValue);
    }
  }

  std::size_t scratch_bytes(int) const noexcept override {
    return in_.size() * sizeof(TensorView) + out_.size() * sizeof(MutTensorView);
  }

  void run(const StepArgs& args) const noexcept override {
    auto* in = reinterpret_cast<TensorView*>(args.scratch);
    auto* out = reinterpret_cast<MutTensorView*>(in + in_.size());
    for (std::size_t i = 0; i < in_.size(); ++i)
      std::construct_at(in + i, present_[i] ? TensorView{&in_[i], args.in[i]} : TensorView{});
    for (std::size_t i = 0; i < out_.size(); ++i)
      std::construct_at(out + i, wanted_[i] ? MutTensorView{&out_[i], args.out[i]} : MutTensorView{});
    eval_(op_, {in, in_.size()}, {out, out_.size()});
  }

 private:
  Op op_;
  decltype(OpDef::eval) eval_;
  std::vector<Type> in_, out_;
  std::vector<bool> present_, wanted_;
};

}  // namespace

const Tactic& reference_tactic() {
  static const Tactic tactic{"reference", LayoutNeed::plain, [](const Query&) { return true; },
                             [](const Query& query) {
                               return Prepared{std::make_unique<ReferenceStep>(query), "reference"};
                             }};
  return tactic;
}

}  // namespace eke
