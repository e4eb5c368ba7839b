// OpDef: the record that says everything the engine knows about one op. A plain constant-initialised struct of data and
// function pointers; src/ops/x.cc defines the span x_ops of them and the build lists all spans (ir/op_table.h).
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "ir/attr.h"
#include "ir/sample.h"
#include "tenon/types.h"

namespace tenon::ir {

class InferContext;
class EvalContext;
class GradContext;
class LowerContext;

/// A list of fixed capacity that can be written in braces in a constant-initialised record.
template <class T, std::size_t N>
class FixedList {
 public:
  constexpr FixedList() = default;
  constexpr FixedList(std::initializer_list<T> items) {
    for (const T& item : items) items_[size_++] = item;  // past N: does not compile in a constant expression
  }
  constexpr std::size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr const T& operator[](std::size_t i) const { return items_[i]; }
  constexpr const T* begin() const { return items_.data(); }
  constexpr const T* end() const { return items_.data() + size_; }

 private:
  std::array<T, N> items_ = {};
  std::size_t size_ = 0;
};

/// A set of dtypes, one bit each.
using DTypeSet = std::uint32_t;
constexpr DTypeSet Only(DType t) { return DTypeSet{1} << static_cast<unsigned>(t); }
inline constexpr DTypeSet kBoolSet = Only(DType::kBool);
inline constexpr DTypeSet kSignedSet = Only(DType::kI8) | Only(DType::kI16) | Only(DType::kI32) | Only(DType::kI64);
inline constexpr DTypeSet kUnsignedSet = Only(DType::kU8) | Only(DType::kU16) | Only(DType::kU32) | Only(DType::kU64);
inline constexpr DTypeSet kIntegerSet = kSignedSet | kUnsignedSet;
inline constexpr DTypeSet kFloatSet = Only(DType::kF16) | Only(DType::kBF16) | Only(DType::kF32) | Only(DType::kF64);
inline constexpr DTypeSet kComplexSet = Only(DType::kC64) | Only(DType::kC128);
inline constexpr DTypeSet kRealSet = kIntegerSet | kFloatSet;
inline constexpr DTypeSet kNumericSet = kRealSet | kComplexSet;
inline constexpr DTypeSet kFixedSet = kNumericSet | kBoolSet;          // every dtype that can be computed with
inline constexpr DTypeSet kAnySet = kFixedSet | Only(DType::kString);  // … and strings
inline constexpr DTypeSet kStorageSet = ~DTypeSet{0};                  // … and f8, i4, u4
inline constexpr DTypeSet kIndexSet = Only(DType::kI32) | Only(DType::kI64);

enum PortFlags : std::uint8_t {
  kPlain = 0,
  kOptional = 1,  // may be absent (inputs: an invalid Value; outputs: not produced)
  kVariadic = 2,  // zero or more; the last port only
  kNotDifferentiable = 4,
  kWantsValue = 8,  // infer reads its symbolic value (small integer tensors)
  kNonTensor = 16,  // a sequence, optional, map, table or token; infer checks it
  kMixed = 32,      // variadic whose members may differ in dtype
};
/// An input or output. Ports of one type variable have one dtype.
struct Port {
  std::string_view name;
  std::string_view type = "T";    // type variable
  DTypeSet dtypes = kNumericSet;  // what the type variable may be
  unsigned flags = kPlain;
  std::string_view doc = {};
};

struct AttrSpec {
  enum class Default : std::uint8_t { kRequired, kAbsent, kValue };
  std::string_view name;
  AttrKind kind = AttrKind::kInt;
  Default mode = Default::kRequired;
  bool b = false;
  std::int64_t i = 0;
  double f = 0;
  std::string_view s = {};
  DType t = DType::kF32;
  std::string_view doc = {};
};
/// An attribute that must be given; one that may be absent; ones with a default (lists default to the empty list).
constexpr AttrSpec Required(std::string_view name, AttrKind kind, std::string_view doc = {}) {
  return {.name = name, .kind = kind, .doc = doc};
}
constexpr AttrSpec Absent(std::string_view name, AttrKind kind, std::string_view doc = {}) {
  return {.name = name, .kind = kind, .mode = AttrSpec::Default::kAbsent, .doc = doc};
}
constexpr AttrSpec BoolAttr(std::string_view name, bool value, std::string_view doc = {}) {
  return {.name = name, .kind = AttrKind::kBool, .mode = AttrSpec::Default::kValue, .b = value, .doc = doc};
}
constexpr AttrSpec IntAttr(std::string_view name, std::int64_t value, std::string_view doc = {}) {
  return {.name = name, .kind = AttrKind::kInt, .mode = AttrSpec::Default::kValue, .i = value, .doc = doc};
}
constexpr AttrSpec FloatAttr(std::string_view name, double value, std::string_view doc = {}) {
  return {.name = name, .kind = AttrKind::kFloat, .mode = AttrSpec::Default::kValue, .f = value, .doc = doc};
}
constexpr AttrSpec StringAttr(std::string_view name, std::string_view value, std::string_view doc = {}) {
  return {.name = name, .kind = AttrKind::kString, .mode = AttrSpec::Default::kValue, .s = value, .doc = doc};
}
constexpr AttrSpec DTypeAttr(std::string_view name, DType value, std::string_view doc = {}) {
  return {.name = name, .kind = AttrKind::kDType, .mode = AttrSpec::Default::kValue, .t = value, .doc = doc};
}
constexpr AttrSpec IntsAttr(std::string_view name, std::string_view doc = {}) {
  return {.name = name, .kind = AttrKind::kInts, .mode = AttrSpec::Default::kValue, .doc = doc};
}

enum Traits : std::uint32_t {
  kNoTraits = 0,
  kElementwise = 1,        // output element i depends on input elements i only, with NumPy broadcasting
  kCommutative = 2,        // in its first two inputs
  kView = 4,               // the same elements in the same order under other dims
  kInPlace = 8,            // may write its output over input 0
  kRandom = 16,            // pseudo-random function of its key and counter inputs
  kDiscrete = 32,          // takes decisions: round, compare, argmax, top_k, cast to integer
  kExact = 64,             // exactness class: every backend gives the same bits
  kAccumulates = 128,      // exactness class: sums many terms, the order may differ between backends
  kControl = 256,          // holds sub-graphs
  kIntegersAsFloat = 512,  // the public function takes integers as f32 (divide is true division there)
  kDefinesDims = 1024,     // its values are dims of others (by symbols): it stays as long as one of them is used
};  // neither kExact nor kAccumulates: elementwise rounding, a few ulp

/// The same meaning in another format: "OnnxType theirs=ours theirs=ours" (attribute names that differ). Only when the
/// meaning is exactly the same; anything else is a function in formats/.
struct FormatNames {
  std::string_view onnx = {}, tf = {}, keras = {}, tflite = {}, torch = {};
};

struct OpDef {
  std::string_view name;     // snake_case, a valid C++ identifier
  std::string_view summary;  // one line; formulas welcome
  FixedList<Port, 12> inputs = {};
  FixedList<Port, 8> outputs = {};
  FixedList<AttrSpec, 14> attrs = {};
  std::uint32_t traits = kNoTraits;
  /// Output types and symbolic values from input types, symbolic values and attributes. Required unless the outputs are
  /// those of the lowering. Errors carry a numbered constraint: ctx.Fail(1, …) reads "softmax_c1: …".
  Status (*infer)(InferContext& ctx) = nullptr;
  /// Plain reference: loads any dtype into f32 / f64 / i64 / u64 / c128, computes, stores back.
  Status (*eval)(EvalContext& ctx) = nullptr;
  /// Builds the gradients of the inputs. An op without one differentiates its lowering.
  Status (*grad)(GradContext& ctx) = nullptr;
  /// Builds the op from others; null for a primitive. An op without eval uses its lowering as reference.
  Status (*lower)(LowerContext& ctx) = nullptr;
  std::vector<Sample> (*samples)() = nullptr;  // also the error samples
  FormatNames names = {};

  bool Is(Traits t) const { return (traits & t) != 0; }
};

}  // namespace tenon::ir
