// Sequences of tensors: values of type seq<tensor>, shared and immutable, so that each op makes a new one.
#include "ops/body_util.h"

namespace tenon::ir::ops {
namespace {

// c1: the first input is a sequence.
Status CheckSequence(const InferContext& ctx) {
  if (ctx.type(0).kind() == Type::Kind::kSequence) return {};
  return ctx.Fail(1, "input \"sequence\": got " + ctx.type(0).to_string() + ", expected a sequence");
}
// c2: the index is an integer scalar (a vector of one element too).
Status CheckIndex(const InferContext& ctx, int i) {
  if (!ctx.has(i)) return {};
  if (ctx.ranked(i) && (ctx.rank(i) > 1 || (ctx.rank(i) == 1 && Differ(ctx.shape(i)[0], 1))))
    return ctx.Fail(2, "got an index " + ctx.type(i).to_string() + ", expected a scalar");
  return {};
}

// c1: at least one item. c2: the items are tensors of one dtype.
Status InferConstruct(InferContext& ctx) {
  if (ctx.num_inputs() == 0)
    return ctx.Fail(1, "got no items, expected at least one (sequence_empty makes an empty sequence)");
  std::optional<Type> element;
  for (int i = 0; i < ctx.num_inputs(); ++i) {
    if (!ctx.has(i)) return ctx.Fail(1, "item " + std::to_string(i) + " is absent");
    if (!element) {
      element = ctx.type(i);
      continue;
    }
    const std::optional<Type> joined = JoinTypes(*element, ctx.type(i));
    if (!joined)
      return ctx.Fail(2,
                      "got items " + element->to_string() + " and " + ctx.type(i).to_string() + ", expected one dtype");
    element = joined;
  }
  if (!element->is_tensor()) return ctx.Fail(2, "got items " + element->to_string() + ", expected tensors");
  ctx.Set(0, Type::Sequence(*element));
  return {};
}
Status EvalConstruct(EvalContext& ctx) {
  std::vector<Datum> items;
  for (int i = 0; i < ctx.num_inputs(); ++i) items.push_back(ctx.datum(i));
  ctx.Set(0, Datum::Sequence(std::move(items), ctx.out_type().element()));
  return {};
}

Status InferEmpty(InferContext& ctx) {
  ctx.Set(0, Type::Sequence(Type::TensorOfUnknownRank(ctx.attrs().Dtype("dtype"))));
  return {};
}
Status EvalEmpty(EvalContext& ctx) {
  ctx.Set(0, Datum::Sequence({}, ctx.out_type().element()));
  return {};
}

Status InferAt(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSequence(ctx));
  TENON_RETURN_IF_ERROR(CheckIndex(ctx, 1));
  // Items may differ in their dims where the element's are symbols: each read has dims of its own.
  const Type& element = ctx.type(0).element();
  if (!element.is_tensor() || !element.has_rank()) {
    ctx.Set(0, element);
    return {};
  }
  std::vector<Dim> dims;
  for (const Dim& d : element.shape().dims()) dims.push_back(d.is_symbolic() ? ctx.FreshDim() : d);
  ctx.Set(0, Type::Tensor(element.dtype(), Shape(std::move(dims))));
  return {};
}
// The position 0..size-1 (0..size when `end`) that input i names; `otherwise` when it is absent.
Result<std::size_t> Position(const EvalContext& ctx, int i, std::int64_t size, bool end, std::int64_t otherwise) {
  const std::int64_t given = ctx.has(i) ? ToInts(ctx.in(i))[0] : otherwise;
  const std::int64_t at = given < 0 ? given + size : given;
  if (at < 0 || at >= size + (end ? 1 : 0))
    return ctx.Fail("got position " + std::to_string(given) + " in a sequence of " + std::to_string(size) +
                    ", expected one in [" + std::to_string(-size) + ", " + std::to_string(size) + (end ? "]" : ")"));
  return Size(at);
}
std::int64_t LengthOf(const EvalContext& ctx) { return static_cast<std::int64_t>(ctx.datum(0).items->size()); }
Status EvalAt(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const std::size_t at, Position(ctx, 1, LengthOf(ctx), false, -1));
  ctx.Set(0, (*ctx.datum(0).items)[at]);
  return {};
}

Status InferLength(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSequence(ctx));
  ctx.Set(0, DType::kI64, {});
  return {};
}
Status EvalLength(EvalContext& ctx) {
  ctx.Set(0, Literal::scalar(LengthOf(ctx)));
  return {};
}

// c3: the item has the dtype of the others.
Status InferInsert(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSequence(ctx));
  TENON_RETURN_IF_ERROR(CheckIndex(ctx, 2));
  const std::optional<Type> joined = JoinTypes(ctx.type(0).element(), ctx.type(1));
  if (!joined)
    return ctx.Fail(
        3, "got an item " + ctx.type(1).to_string() + " for a sequence of " + ctx.type(0).element().to_string());
  ctx.Set(0, Type::Sequence(*joined));
  return {};
}
Status EvalInsert(EvalContext& ctx) {
  const std::int64_t size = LengthOf(ctx);
  TENON_ASSIGN_OR_RETURN(const std::size_t at, Position(ctx, 2, size, true, size));
  std::vector<Datum> items = *ctx.datum(0).items;
  items.insert(items.begin() + static_cast<std::ptrdiff_t>(at), ctx.datum(1));
  ctx.Set(0, Datum::Sequence(std::move(items), ctx.out_type().element()));
  return {};
}

Status InferErase(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSequence(ctx));
  TENON_RETURN_IF_ERROR(CheckIndex(ctx, 1));
  ctx.Set(0, ctx.type(0));
  return {};
}
Status EvalErase(EvalContext& ctx) {
  TENON_ASSIGN_OR_RETURN(const std::size_t at, Position(ctx, 1, LengthOf(ctx), false, -1));
  std::vector<Datum> items = *ctx.datum(0).items;
  items.erase(items.begin() + static_cast<std::ptrdiff_t>(at));
  ctx.Set(0, Datum::Sequence(std::move(items), ctx.out_type().element()));
  return {};
}

// A sample holds tensors only: the ops on sequences have error samples here and are tested in graphs
// (sequence_test.cc).
std::vector<Sample> ConstructSamples() {
  return {{.name = "two", .inputs = {Random({2, 3}, 1), Random({2, 3}, 2)}, .gradient = false},
          {.name = "dims", .inputs = {Random({2, 3}, 3), Random({4, 3}, 4), Random({0, 3}, 5)}, .gradient = false},
          {.name = "scalar", .inputs = {Random({}, 6)}, .gradient = false},
          {.name = "none", .error = "c1"},
          {.name = "dtypes", .inputs = {Random({2}, 7), Ints({2}, {1, 2})}, .error = "dtype"}};
}
std::vector<Sample> EmptySamples() {
  return {{.name = "plain"}, {.name = "integers", .attrs = {{"dtype", DType::kI64}}}};
}

std::vector<Sample> NoSequenceSamples() {
  return {{.name = "tensor", .inputs = {Random({2}, 1), Ints({}, {0})}, .error = "c1"}};
}
std::vector<Sample> InsertSamples() {
  return {{.name = "tensor", .inputs = {Random({2}, 1), Random({2}, 2), Ints({}, {0})}, .error = "c1"}};
}
std::vector<Sample> LengthSamples() { return {{.name = "tensor", .inputs = {Random({2}, 1)}, .error = "c1"}}; }

constexpr Port kSequence = {.name = "sequence", .type = "Q", .dtypes = kStorageSet, .flags = kNonTensor};
constexpr Port kSequenceOut = {.name = "result", .type = "Q", .dtypes = kStorageSet, .flags = kNonTensor};
constexpr Port kIndex = {.name = "index",
                         .type = "I",
                         .dtypes = kIndexSet,
                         .flags = kNotDifferentiable,
                         .doc = "a scalar; negative counts from the end"};
constexpr Port kOptionalIndex = {.name = "index",
                                 .type = "I",
                                 .dtypes = kIndexSet,
                                 .flags = kOptional | kNotDifferentiable,
                                 .doc = "a scalar; negative counts from the end"};

constinit const OpDef kOps[] = {
    {.name = "sequence_construct",
     .summary = "A sequence of the given tensors.",
     .inputs = {{.name = "items", .dtypes = kAnySet, .flags = kVariadic}},
     .outputs = {kSequenceOut},
     .traits = kExact,
     .infer = InferConstruct,
     .eval = EvalConstruct,
     .samples = ConstructSamples,
     .names = {.onnx = "SequenceConstruct"}},
    {.name = "sequence_empty",
     .summary = "A sequence without items, of tensors of a dtype.",
     .outputs = {kSequenceOut},
     .attrs = {DTypeAttr("dtype", DType::kF32, "dtype of items to come")},
     .traits = kExact,
     .infer = InferEmpty,
     .eval = EvalEmpty,
     .samples = EmptySamples},
    {.name = "sequence_at",
     .summary = "The item at a position.",
     .inputs = {kSequence, kIndex},
     .outputs = {{.name = "item", .dtypes = kAnySet}},
     .traits = kExact,
     .infer = InferAt,
     .eval = EvalAt,
     .samples = NoSequenceSamples,
     .names = {.onnx = "SequenceAt"}},
    {.name = "sequence_length",
     .summary = "The number of items.",
     .inputs = {kSequence},
     .outputs = {{.name = "length", .type = "N", .dtypes = Only(DType::kI64)}},
     .traits = kExact,
     .infer = InferLength,
     .eval = EvalLength,
     .samples = LengthSamples,
     .names = {.onnx = "SequenceLength"}},
    {.name = "sequence_insert",
     .summary = "The sequence with an item before a position; at the end without one.",
     .inputs = {kSequence, {.name = "item", .dtypes = kAnySet}, kOptionalIndex},
     .outputs = {kSequenceOut},
     .traits = kExact,
     .infer = InferInsert,
     .eval = EvalInsert,
     .samples = InsertSamples,
     .names = {.onnx = "SequenceInsert"}},
    {.name = "sequence_erase",
     .summary = "The sequence without the item at a position; without the last one when none is given.",
     .inputs = {kSequence, kOptionalIndex},
     .outputs = {kSequenceOut},
     .traits = kExact,
     .infer = InferErase,
     .eval = EvalErase,
     .samples = NoSequenceSamples,
     .names = {.onnx = "SequenceErase"}},
};

}  // namespace
extern const std::span<const OpDef> sequence_ops;
constinit const std::span<const OpDef> sequence_ops{kOps};
}  // namespace tenon::ir::ops
