// What a rule (the translation of one kind of node) sees, and the tables of rules.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/savedmodel/translator.h"

namespace tenon::savedmodel {

/// One node under translation. Accessors that find something wrong record it in the builder's status and give an empty
/// value, so that a rule reads straight through; its status is looked at when it returns.
class OpContext {
 public:
  OpContext(Translator& translator, ir::Builder& builder, const NodeDef& def, std::vector<Slot> slots, std::string path)
      : t(translator), b(builder), node(def), inputs(std::move(slots)), name(std::move(path)) {}

  Translator& t;
  ir::Builder& b;
  const NodeDef& node;
  std::vector<Slot> inputs;  // of the data edges
  std::string name;          // the node's, with the prefix of the calls around it
  std::vector<Slot> results;

  int size() const { return static_cast<int>(inputs.size()); }
  bool has(int i) const { return i < size(); }
  /// The tensor on input i; a TF1 reference is read.
  ir::Value in(int i);
  /// Inputs i up to the end (or to `end`).
  std::vector<ir::Value> ins(int begin, int end = -1);
  /// The cell on input i; -1 (and an error) when it is no resource.
  int cell(int i);

  // Attributes, with TensorFlow's defaults given by the caller.
  std::int64_t Int(std::string_view attr, std::int64_t otherwise) const;
  bool Bool(std::string_view attr, bool otherwise) const;
  float Float(std::string_view attr, float otherwise) const;
  std::string String(std::string_view attr, std::string_view otherwise) const;
  std::vector<std::int64_t> Ints(std::string_view attr) const;
  /// nullopt when absent or of a type without a DType.
  std::optional<DType> Type(std::string_view attr) const;
  const AttrValue* Attr(std::string_view attr) const;

  // Values known now.
  /// The literal on input i, when it is a constant.
  const Literal* constant(int i);
  /// The elements of an integer input as dims, when they are known.
  std::optional<std::vector<Dim>> dims(int i);
  /// The same; elements that only the run knows become dims by as_dims, which checks there that none is below 0.
  std::optional<std::vector<Dim>> sizes(int i);
  /// The elements of an integer input; an error when they are not known now.
  std::vector<std::int64_t> ints(int i);
  std::int64_t integer(int i);

  const Shape& shape(ir::Value v) const { return b.shape(v); }
  /// -1 and an error when the rank of v is not known.
  int rank(ir::Value v);

  void Set(int output, ir::Value value);
  void Set(ir::Value value) { Set(0, value); }
  void SetSlot(int output, Slot slot);
  /// The elements of the value of `output` as dims, unless inference has found them.
  void SetDims(int output, std::vector<Dim> elements);
  /// kInvalidArgument "OP NODE: what".
  Status Fail(std::string_view what) const;
  /// kUnimplemented with the same text.
  Status Unsupported(std::string_view what) const;
};

struct Rule {
  std::string_view op;
  Status (*translate)(OpContext& c);
};

/// The tables, one for each file of this folder.
std::span<const Rule> ElementwiseRules();
std::span<const Rule> StateRules();
std::span<const Rule> ShapeRules();
std::span<const Rule> SliceRules();
std::span<const Rule> LinearRules();
std::span<const Rule> ConvRules();
std::span<const Rule> ReduceRules();
std::span<const Rule> IndexRules();
std::span<const Rule> RearrangeRules();
std::span<const Rule> TrainingRules();
std::span<const Rule> ExampleRules();
std::span<const Rule> ControlRules();
std::span<const Rule> SparseRules();
std::span<const Rule> TableRules();
std::span<const Rule> AlgebraRules();
std::span<const Rule> CountRules();
std::span<const Rule> DiagonalRules();
std::span<const Rule> FourierRules();
std::span<const Rule> ListRules();
std::span<const Rule> QuantizeRules();
std::span<const Rule> RaggedRules();
std::span<const Rule> RandomRules();
std::span<const Rule> ResizeRules();
std::span<const Rule> TextRules();

/// The rule of an op, or null. Ops whose record names them exactly have a rule too.
Status (*FindRule(std::string_view op))(OpContext&);

/// Applies the record that names this op exactly: inputs by position, attributes by name.
Status TranslateByRecord(OpContext& c);

}  // namespace tenon::savedmodel
