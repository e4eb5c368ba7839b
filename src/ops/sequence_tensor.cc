// Between tensors and sequences: the items of a sequence as one tensor, a tensor cut into items.
#include <limits>

#include "ops/body_util.h"

namespace tenon::ir::ops {
namespace {

Status CheckSequence(const InferContext& ctx) {
  if (ctx.type(0).kind() == Type::Kind::kSequence && ctx.type(0).element().is_tensor()) return {};
  return ctx.Fail(1, "input \"sequence\": got " + ctx.type(0).to_string() + ", expected a sequence of tensors");
}

// c1: a sequence. c2: the axis is one of the result.
Status InferConcat(InferContext& ctx) {
  TENON_RETURN_IF_ERROR(CheckSequence(ctx));
  const Type& element = ctx.type(0).element();
  if (!element.has_rank()) {
    ctx.SetUnknownRank(0, element.dtype());
    return {};
  }
  const bool stack = ctx.attrs().Bool("new_axis");
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), element.rank() + (stack ? 1 : 0), 2));
  std::vector<Dim> dims;
  for (const Dim& d : element.shape().dims()) dims.push_back(d.is_symbolic() ? ctx.FreshDim() : d);
  if (stack)
    dims.insert(dims.begin() + axis, ctx.FreshDim());
  else
    dims[Size(axis)] = ctx.FreshDim();
  ctx.Set(0, element.dtype(), Shape(std::move(dims)));
  return {};
}

// Rows before the axis are copied item by item.
Status EvalConcat(EvalContext& ctx) {
  const std::vector<Datum>& items = *ctx.datum(0).items;
  if (items.empty()) return ctx.Fail("got an empty sequence, expected at least one item");
  const bool stack = ctx.attrs().Bool("new_axis");
  const Literal& first = items[0].literal();
  const int rank = first.rank() + (stack ? 1 : 0);
  const std::int64_t given = ctx.attrs().Int("axis");
  if (given < -rank || given >= rank)
    return ctx.Fail("axis " + std::to_string(given) + " is outside of rank " + std::to_string(rank));
  const int axis = NormalAxis(given, rank);
  std::vector<std::vector<std::int64_t>> parts;  // dims of the items, with the new axis
  std::vector<std::int64_t> dims;
  std::int64_t whole = 0;
  for (const Datum& item : items) {
    std::vector<std::int64_t> part = item.literal().dims();
    if (stack) part.insert(part.begin() + axis, 1);
    std::vector<std::int64_t> others = part;
    if (others.size() == Size(rank)) others[Size(axis)] = 0;
    if (dims.empty()) dims = others;
    if (others != dims || item.literal().dtype() != first.dtype())
      return ctx.Fail("got items " + first.shape().to_string() + " and " + item.literal().shape().to_string() +
                      ", expected dims that differ along the axis only");
    if (part[Size(axis)] > std::numeric_limits<std::int64_t>::max() - whole)
      return ctx.Fail("got more rows than 64 bits count");
    whole += part[Size(axis)];
    parts.push_back(std::move(part));
  }
  dims[Size(axis)] = whole;
  TENON_ASSIGN_OR_RETURN(const std::int64_t size, checked_size(dims));
  const Around around = SplitAt(dims, axis);
  // Which item and which element of it each element of the result is.
  std::vector<Literal> rows;
  Literal out(first.dtype(), dims);
  if (size > 0) {
    std::int64_t at = 0;
    for (std::size_t k = 0; k < items.size(); ++k) {
      const Literal& item = items[k].literal();
      const std::int64_t run = parts[k][Size(axis)] * around.inner;
      for (std::int64_t o = 0; o < around.outer && run > 0; ++o) {
        const std::int64_t to = o * around.count * around.inner + at;
        if (first.dtype() == DType::kString) {
          std::copy_n(item.strings().begin() + o * run, run, out.mutable_strings().begin() + to);
        } else {
          const std::size_t bytes = item.nbytes() / Size(item.size());
          std::copy_n(item.raw().data() + Size(o * run) * bytes, Size(run) * bytes,
                      out.mutable_raw().data() + Size(to) * bytes);
        }
      }
      at += run;
    }
  }
  ctx.Set(0, std::move(out));
  return {};
}

// c1: x has the axis. c2: `parts` is a scalar or a vector.
Status InferSplit(InferContext& ctx) {
  if (ctx.has(1) && ctx.ranked(1) && ctx.rank(1) > 1)
    return ctx.Fail(2, "got parts " + ctx.type(1).to_string() + ", expected a scalar or a vector");
  if (!ctx.ranked(0)) {
    ctx.Set(0, Type::Sequence(Type::TensorOfUnknownRank(ctx.dtype(0))));
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const int axis, ctx.Axis(ctx.attrs().Int("axis"), ctx.rank(0), 1));
  std::vector<Dim> dims = ctx.shape(0).dims();
  if (ctx.attrs().Bool("keep_dims"))
    dims[Size(axis)] = ctx.has(1) ? ctx.FreshDim() : Dim(1);
  else
    dims.erase(dims.begin() + axis);
  ctx.Set(0, Type::Sequence(Type::Tensor(ctx.dtype(0), Shape(std::move(dims)))));
  return {};
}

Status EvalSplit(EvalContext& ctx) {
  const Literal& x = ctx.in(0);
  if (x.rank() == 0) return ctx.Fail("got a scalar, expected an axis to split");
  const bool keep = ctx.attrs().Bool("keep_dims");
  const int axis = NormalAxis(ctx.attrs().Int("axis"), x.rank());
  const Around around = SplitAt(x.dims(), axis);
  std::vector<std::int64_t> sizes;
  const bool listed = ctx.has(1) && ctx.in(1).rank() == 1;
  if (listed) {
    sizes = ToInts(ctx.in(1));
  } else {
    const std::int64_t part = ctx.has(1) ? ToInts(ctx.in(1))[0] : 1;
    if (part < 1) return ctx.Fail("got parts of " + std::to_string(part) + ", expected 1 or more");
    for (std::int64_t at = 0; at < around.count; at += std::min(part, around.count - at))
      sizes.push_back(std::min(part, around.count - at));
  }
  std::int64_t at = 0;
  std::vector<Datum> items;
  for (const std::int64_t size : sizes) {
    if (size < 0 || size > around.count - at || (!keep && size != 1))
      return ctx.Fail("got parts that do not fit " + std::to_string(around.count) + " elements");
    std::vector<std::int64_t> dims = x.dims(), from;
    dims[Size(axis)] = size;
    if (!keep) dims.erase(dims.begin() + axis);
    from.reserve(Size(around.outer * size * around.inner));
    for (std::int64_t o = 0; o < around.outer; ++o)
      for (std::int64_t k = 0; k < size * around.inner; ++k) from.push_back((o * around.count + at) * around.inner + k);
    items.emplace_back(GatherElements(x, std::move(dims), from));
    at += size;
  }
  if (at != around.count)
    return ctx.Fail("got parts of " + std::to_string(at) + " elements, expected " + std::to_string(around.count));
  ctx.Set(0, Datum::Sequence(std::move(items), ctx.out_type().element()));
  return {};
}

std::vector<Sample> ConcatSamples() { return {{.name = "tensor", .inputs = {Random({2}, 1)}, .error = "c1"}}; }
std::vector<Sample> SplitSamples() {
  return {{.name = "ones", .inputs = {Random({3, 2}, 1)}, .gradient = false},
          {.name = "dropped", .inputs = {Random({3, 2}, 2)}, .attrs = {{"keep_dims", false}}, .gradient = false},
          {.name = "twos",
           .inputs = {Random({2, 5}, 3), Ints({}, {2})},
           .attrs = {{"axis", std::int64_t{1}}},
           .gradient = false},
          {.name = "list", .inputs = {Random({5}, 4), Ints({3}, {2, 0, 3})}, .gradient = false},
          {.name = "empty", .inputs = {Random({0, 2}, 5)}, .gradient = false},
          {.name = "axis", .inputs = {Random({2}, 6)}, .attrs = {{"axis", std::int64_t{1}}}, .error = "c1"},
          {.name = "matrix", .inputs = {Random({2}, 7), Ints({1, 1}, {1})}, .error = "c2"}};
}

constinit const OpDef kOps[] = {
    {.name = "sequence_concat",
     .summary = "The items of a sequence joined along an axis, or stacked on a new one.",
     .inputs = {{.name = "sequence", .type = "Q", .dtypes = kStorageSet, .flags = kNonTensor}},
     .outputs = {{.name = "y", .dtypes = kAnySet}},
     .attrs = {IntAttr("axis", 0, "of the result"), BoolAttr("new_axis", false, "the axis is a new one")},
     .traits = kExact,
     .infer = InferConcat,
     .eval = EvalConcat,
     .samples = ConcatSamples},
    {.name = "sequence_split",
     .summary = "A sequence of parts of x along an axis.",
     .inputs = {{.name = "x", .dtypes = kAnySet},
                {.name = "parts",
                 .type = "I",
                 .dtypes = kIndexSet,
                 .flags = kOptional | kNotDifferentiable,
                 .doc =
                     "a scalar: elements in each part (the last may have fewer); a vector: in every part; absent: 1"}},
     .outputs = {{.name = "sequence", .type = "Q", .dtypes = kStorageSet, .flags = kNonTensor}},
     .attrs = {IntAttr("axis", 0, "the axis to cut"),
               BoolAttr("keep_dims", true, "false: drops the axis of parts of 1")},
     .traits = kExact,
     .infer = InferSplit,
     .eval = EvalSplit,
     .samples = SplitSamples},
};

}  // namespace
extern const std::span<const OpDef> sequence_tensor_ops;
constinit const std::span<const OpDef> sequence_tensor_ops{kOps};
}  // namespace tenon::ir::ops
