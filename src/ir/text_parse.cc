#include <complex>
#include <limits>
#include <map>

#include "base/status_macros.h"
#include "ir/numeric.h"
#include "ir/op_table.h"
#include "ir/text.h"
#include "ir/text_lexer.h"
#include "ir/verifier.h"

namespace tenon::ir {
namespace {

constexpr std::int64_t kMaxInline = 64;  // elements of a literal in place

class Parser {
 public:
  Parser(std::string_view text, const Blobs& blobs) : lex_(text), blobs_(blobs) {}

  Result<Graph> WholeGraph() {
    TENON_RETURN_IF_ERROR(lex_.Expect("graph"));
    TENON_ASSIGN_OR_RETURN(Graph g, GraphBody(0));
    if (!lex_.AtEnd()) return lex_.Error("the end");
    return g;
  }

  Result<Module> WholeModule() {
    Module m;
    TENON_RETURN_IF_ERROR(lex_.Expect("module"));
    TENON_RETURN_IF_ERROR(lex_.Expect("{"));
    while (!lex_.Take("}")) {
      if (lex_.Take("metadata")) {
        TENON_RETURN_IF_ERROR(KeyValue(m.metadata));
      } else if (lex_.Take("asset")) {
        TENON_RETURN_IF_ERROR(KeyValue(m.assets));
      } else if (lex_.Take("variable")) {
        TENON_RETURN_IF_ERROR(OneVariable(m));
      } else if (lex_.Take("function")) {
        TENON_RETURN_IF_ERROR(OneFunction(m));
      } else {
        return lex_.Error("metadata, asset, variable, function or }");
      }
    }
    if (!lex_.AtEnd()) return lex_.Error("the end");
    return m;
  }

 private:
  Status KeyValue(std::map<std::string, std::string>& into) {
    TENON_ASSIGN_OR_RETURN(std::string key, lex_.QuotedString());
    TENON_RETURN_IF_ERROR(lex_.Expect("="));
    TENON_ASSIGN_OR_RETURN(into[key], lex_.QuotedString());
    return {};
  }

  Status OneVariable(Module& m) {
    TENON_ASSIGN_OR_RETURN(std::string path, lex_.QuotedString());
    const bool trainable = lex_.Take("trainable");
    std::string initializer;
    if (lex_.Take("init")) {
      TENON_RETURN_IF_ERROR(lex_.Expect("="));
      TENON_ASSIGN_OR_RETURN(initializer, lex_.QuotedString());
    }
    TENON_RETURN_IF_ERROR(lex_.Expect("="));
    TENON_ASSIGN_OR_RETURN(Literal value, LiteralText());
    return m.AddVariable(
        std::make_shared<VariableCell>(std::move(path), std::move(value), trainable, std::move(initializer)));
  }

  Result<std::vector<std::string>> Names(std::string_view key) {
    TENON_RETURN_IF_ERROR(lex_.Expect(key));
    TENON_RETURN_IF_ERROR(lex_.Expect("="));
    return List<std::string>([&] { return lex_.QuotedString(); });
  }

  Status OneFunction(Module& m) {
    Function f;
    TENON_ASSIGN_OR_RETURN(f.name, lex_.QuotedString());
    if (m.FindFunction(f.name) != nullptr) return lex_.Error("a function name that is not taken");
    TENON_ASSIGN_OR_RETURN(f.input_names, Names("inputs"));
    TENON_ASSIGN_OR_RETURN(f.output_names, Names("outputs"));
    TENON_ASSIGN_OR_RETURN(f.reads, Names("reads"));
    TENON_ASSIGN_OR_RETURN(f.writes, Names("writes"));
    while (lex_.Take("metadata")) {
      TENON_RETURN_IF_ERROR(lex_.Expect("("));
      TENON_RETURN_IF_ERROR(KeyValue(f.metadata));
      TENON_RETURN_IF_ERROR(lex_.Expect(")"));
    }
    TENON_RETURN_IF_ERROR(lex_.Expect("graph"));
    TENON_ASSIGN_OR_RETURN(f.graph, GraphBody(0));
    if (f.graph.inputs().size() != f.input_names.size() + f.reads.size() ||
        f.graph.outputs().size() != f.output_names.size() + f.writes.size())
      return Status(Code::kInvalidArgument, "function \"" + f.name + "\": the graph has " +
                                                std::to_string(f.graph.inputs().size()) + " inputs and " +
                                                std::to_string(f.graph.outputs().size()) +
                                                " outputs, which do not match its names, reads and writes");
    m.functions.push_back(std::move(f));
    return {};
  }

  Result<Type> ReadType() {
    const std::size_t start = lex_.position();
    TENON_ASSIGN_OR_RETURN(const std::string word, lex_.Word());
    if (lex_.Peek() == '[') {
      TENON_RETURN_IF_ERROR(as_status(lex_.Bracketed('[', ']')));
    } else if (lex_.Peek() == '<') {
      TENON_RETURN_IF_ERROR(as_status(lex_.Bracketed('<', '>')));
    }
    return Type::Parse(lex_.Since(start));
  }

  Status ReadRecord(Record& r) {
    if (lex_.Peek() == '"') {
      TENON_ASSIGN_OR_RETURN(r.name, lex_.QuotedString());
    }
    for (;;) {
      if (lex_.Take("axes")) {
        TENON_RETURN_IF_ERROR(lex_.Expect("="));
        TENON_ASSIGN_OR_RETURN(r.axis_roles, lex_.QuotedString());
      } else if (lex_.Take("from")) {
        TENON_RETURN_IF_ERROR(lex_.Expect("="));
        TENON_RETURN_IF_ERROR(lex_.Expect("("));
        Provenance p;
        TENON_ASSIGN_OR_RETURN(p.format, lex_.QuotedString());
        TENON_RETURN_IF_ERROR(lex_.Expect(","));
        TENON_ASSIGN_OR_RETURN(p.node, lex_.QuotedString());
        TENON_RETURN_IF_ERROR(lex_.Expect(","));
        TENON_ASSIGN_OR_RETURN(p.name, lex_.QuotedString());
        TENON_RETURN_IF_ERROR(lex_.Expect(")"));
        r.provenance.push_back(std::move(p));
      } else if (lex_.Take("quant")) {
        TENON_RETURN_IF_ERROR(lex_.Expect("="));
        TENON_RETURN_IF_ERROR(lex_.Expect("("));
        Quantization q;
        TENON_ASSIGN_OR_RETURN(q.scale, List<double>([&] { return lex_.Float(); }));
        TENON_RETURN_IF_ERROR(lex_.Expect(","));
        TENON_ASSIGN_OR_RETURN(q.zero_point, List<std::int64_t>([&] { return lex_.Integer(); }));
        TENON_RETURN_IF_ERROR(lex_.Expect(","));
        TENON_ASSIGN_OR_RETURN(const std::int64_t axis, lex_.Integer());
        TENON_RETURN_IF_ERROR(lex_.Expect(","));
        TENON_ASSIGN_OR_RETURN(const std::int64_t block, lex_.Integer());
        TENON_RETURN_IF_ERROR(lex_.Expect(")"));
        q.axis = static_cast<int>(axis);
        q.block = static_cast<int>(block);
        r.quantization = std::move(q);
      } else {
        return {};
      }
    }
  }

  // "%12" or "%12:1"; names are the printed ids, mapped to the new graph's values.
  Result<std::string> ValueName() {
    TENON_RETURN_IF_ERROR(lex_.Expect("%"));
    TENON_ASSIGN_OR_RETURN(const std::int64_t node, lex_.Integer());
    std::string name = std::to_string(node);
    const TextLexer saved = lex_;
    if (lex_.Take(":")) {  // an index, or the colon before a type
      const Result<std::int64_t> index = lex_.Integer();
      if (index.ok())
        name += ":" + std::to_string(*index);
      else
        lex_ = saved;
    }
    return name;
  }
  using Known = std::map<std::string, Value>;
  Result<Value> KnownValue(const Known& known) {
    if (lex_.Take("_")) return Value();
    TENON_ASSIGN_OR_RETURN(const std::string name, ValueName());
    const auto it = known.find(name);
    if (it == known.end()) return Status(Code::kInvalidArgument, "text: value %" + name + " is used before it is made");
    return it->second;
  }

  Result<Graph> GraphBody(int depth) {
    if (depth > kMaxGraphDepth) return lex_.Error("at most 64 nested graphs");
    Graph g;
    Known known;
    TENON_RETURN_IF_ERROR(lex_.Expect("("));
    while (!lex_.Take(")")) {
      TENON_ASSIGN_OR_RETURN(std::string name, ValueName());
      TENON_RETURN_IF_ERROR(lex_.Expect(":"));
      Node n;
      n.op = &GetOp("input");
      n.outputs.resize(1);
      TENON_ASSIGN_OR_RETURN(n.outputs[0].type, ReadType());
      TENON_RETURN_IF_ERROR(ReadRecord(n.outputs[0].record));
      if (!known.emplace(name, Value{g.Append(std::move(n)), 0}).second)
        return lex_.Error("a value that is not made twice");
      if (lex_.Peek() != ')') TENON_RETURN_IF_ERROR(lex_.Expect(","));
    }
    TENON_RETURN_IF_ERROR(lex_.Expect("{"));
    while (!lex_.Take("return")) TENON_RETURN_IF_ERROR(OneNode(g, known, depth));
    std::vector<Value> outputs;
    while (lex_.Peek() != '}') {
      TENON_ASSIGN_OR_RETURN(const Value v, KnownValue(known));
      outputs.push_back(v);
      if (lex_.Peek() != '}') TENON_RETURN_IF_ERROR(lex_.Expect(","));
    }
    TENON_RETURN_IF_ERROR(lex_.Expect("}"));
    g.set_outputs(std::move(outputs));
    return g;
  }

  Status OneNode(Graph& g, Known& known, int depth) {
    std::vector<std::string> names;
    Node n;
    if (lex_.Peek() == '%') {
      do {
        TENON_ASSIGN_OR_RETURN(std::string name, ValueName());
        names.push_back(std::move(name));
      } while (lex_.Take(","));
      TENON_RETURN_IF_ERROR(lex_.Expect("="));
    }
    TENON_ASSIGN_OR_RETURN(const std::string op, lex_.Word());
    n.op = FindOp(op);
    if (n.op == nullptr || n.op->name == "input")
      return lex_.Error("the name of an op before this (got \"" + op + "\")");
    TENON_RETURN_IF_ERROR(lex_.Expect("("));
    while (!lex_.Take(")")) {
      TENON_ASSIGN_OR_RETURN(const Value v, KnownValue(known));
      n.inputs.push_back(v);
      if (lex_.Peek() != ')') TENON_RETURN_IF_ERROR(lex_.Expect(","));
    }
    if (lex_.Take("{")) {
      while (!lex_.Take("}")) {
        TENON_ASSIGN_OR_RETURN(const std::string name, lex_.Word());
        TENON_RETURN_IF_ERROR(lex_.Expect("="));
        TENON_ASSIGN_OR_RETURN(Attr value, ReadAttr(depth));
        n.attrs.Set(name, std::move(value));
        if (lex_.Peek() != '}') TENON_RETURN_IF_ERROR(lex_.Expect(","));
      }
    }
    TENON_RETURN_IF_ERROR(lex_.Expect(":"));
    for (std::size_t k = 0; k < names.size(); ++k) {
      if (k > 0) TENON_RETURN_IF_ERROR(lex_.Expect(","));
      Output o;
      TENON_ASSIGN_OR_RETURN(o.type, ReadType());
      TENON_RETURN_IF_ERROR(ReadRecord(o.record));
      n.outputs.push_back(std::move(o));
    }
    const std::int32_t id = g.Append(std::move(n));
    for (std::size_t k = 0; k < names.size(); ++k)
      if (!known.emplace(names[k], Value{id, static_cast<std::int32_t>(k)}).second)
        return lex_.Error("a value that is not made twice");
    return {};
  }

  template <class T, class F>
  Result<std::vector<T>> List(F item) {
    std::vector<T> out;
    TENON_RETURN_IF_ERROR(lex_.Expect("["));
    while (!lex_.Take("]")) {
      Result<T> one = item();
      if (!one.ok()) return one.status();
      out.push_back(*std::move(one));
      if (lex_.Peek() != ']') TENON_RETURN_IF_ERROR(lex_.Expect(","));
    }
    return out;
  }

  Result<DType> ReadDType() {
    TENON_ASSIGN_OR_RETURN(const std::string word, lex_.Word());
    if (const std::optional<DType> t = dtype_from_name(word)) return *t;
    return lex_.Error("a dtype before this (got \"" + word + "\")");
  }

  Result<GraphPtr> SubGraph(int depth) {
    TENON_RETURN_IF_ERROR(lex_.Expect("graph"));
    TENON_ASSIGN_OR_RETURN(Graph g, GraphBody(depth + 1));
    return GraphPtr(std::make_shared<const Graph>(std::move(g)));
  }

  template <class T>
  static Result<Attr> AsAttr(Result<T> value) {
    if (!value.ok()) return value.status();
    return Attr(*std::move(value));
  }

  Result<Attr> ReadAttr(int depth) {
    const char c = lex_.Peek();
    if (c == '"') return AsAttr(lex_.QuotedString());
    if (c == '@') return AsAttr(LiteralText());
    if (lex_.Take("true")) return Attr(true);
    if (lex_.Take("false")) return Attr(false);
    if (lex_.Take("ints")) return AsAttr(List<std::int64_t>([&] { return lex_.Integer(); }));
    if (lex_.Take("floats")) return AsAttr(List<double>([&] { return lex_.Float(); }));
    if (lex_.Take("strings")) return AsAttr(List<std::string>([&] { return lex_.QuotedString(); }));
    if (lex_.Take("dtypes")) return AsAttr(List<DType>([&] { return ReadDType(); }));
    if (lex_.Take("graphs")) return AsAttr(List<GraphPtr>([&] { return SubGraph(depth); }));
    if (lex_.Take("dims")) {
      TENON_ASSIGN_OR_RETURN(const std::string_view text, lex_.Bracketed('[', ']'));
      TENON_ASSIGN_OR_RETURN(const Type t, Type::Parse("f32" + std::string(text)));
      if (!t.has_rank()) return lex_.Error("dims of known rank before this");
      return Attr(t.shape());
    }
    if (c == '-' || (c >= '0' && c <= '9')) return Number();
    // A word: a number in words, a sub-graph, a dtype or the type of a literal in place.
    if (lex_.Take("inf")) return Attr(std::numeric_limits<double>::infinity());
    if (lex_.Take("nan")) return Attr(std::numeric_limits<double>::quiet_NaN());
    if (c == 'g') return AsAttr(SubGraph(depth));
    TENON_ASSIGN_OR_RETURN(const DType dtype, ReadDType());
    if (lex_.Peek() != '[') return Attr(dtype);
    return AsAttr(InPlace(dtype));
  }

  // Whole numbers have neither point nor exponent.
  Result<Attr> Number() {
    if (lex_.Take("-inf")) return Attr(-std::numeric_limits<double>::infinity());
    TextLexer saved = lex_;
    TENON_ASSIGN_OR_RETURN(const double value, lex_.Float());
    const std::string_view text = lex_.Since(saved.position());
    if (text.find_first_of(".eEn") != std::string_view::npos) return Attr(value);
    lex_ = saved;
    return AsAttr(lex_.Integer());
  }

  Result<std::vector<std::int64_t>> StaticDims() {
    TENON_ASSIGN_OR_RETURN(const std::string_view text, lex_.Bracketed('[', ']'));
    TENON_ASSIGN_OR_RETURN(const Type t, Type::Parse("f32" + std::string(text)));
    if (!t.is_static()) return lex_.Error("dims that are numbers before this");
    return t.shape().values();
  }

  Result<Literal> LiteralText() {
    if (lex_.Take("@")) {
      TENON_ASSIGN_OR_RETURN(const std::string name, lex_.Word());
      TENON_RETURN_IF_ERROR(lex_.Expect(":"));
      TENON_ASSIGN_OR_RETURN(const DType dtype, ReadDType());
      TENON_ASSIGN_OR_RETURN(const std::vector<std::int64_t> dims, StaticDims());
      TENON_RETURN_IF_ERROR(lex_.Expect("crc32c"));
      TENON_RETURN_IF_ERROR(lex_.Expect("="));
      TENON_ASSIGN_OR_RETURN(const std::string crc, lex_.Word());
      const auto it = blobs_.find(name);
      if (it == blobs_.end()) return Status(Code::kNotFound, "text: blob @" + name + " is not in the table");
      if (it->second.dtype() != dtype || it->second.dims() != dims)
        return Status(Code::kInvalidArgument,
                      "text: blob @" + name + ": got " + Type::Of(it->second).to_string() + ", expected " +
                          Type::Tensor(dtype, Shape(std::span<const std::int64_t>(dims))).to_string());
      return it->second;
    }
    TENON_ASSIGN_OR_RETURN(const DType dtype, ReadDType());
    return InPlace(dtype);
  }

  Result<Literal> InPlace(DType dtype) {
    TENON_ASSIGN_OR_RETURN(const std::vector<std::int64_t> dims, StaticDims());
    TENON_ASSIGN_OR_RETURN(const std::int64_t size, checked_size(dims));
    if (size > kMaxInline) return lex_.Error("a blob: a literal in place has at most 64 elements");
    TENON_RETURN_IF_ERROR(lex_.Expect("{"));
    std::vector<std::string> strings;
    std::vector<double> doubles;
    std::vector<std::int64_t> ints;
    std::vector<std::complex<double>> complexes;
    for (std::int64_t i = 0; i < size; ++i) {
      if (i > 0) TENON_RETURN_IF_ERROR(lex_.Expect(","));
      if (dtype == DType::kString) {
        TENON_ASSIGN_OR_RETURN(std::string s, lex_.QuotedString());
        strings.push_back(std::move(s));
      } else if (dtype == DType::kU64) {
        TENON_ASSIGN_OR_RETURN(const std::uint64_t v, lex_.Unsigned());
        ints.push_back(static_cast<std::int64_t>(v));
      } else if (is_integer(dtype) || dtype == DType::kBool) {
        TENON_ASSIGN_OR_RETURN(const std::int64_t v, lex_.Integer());
        ints.push_back(v);
      } else if (is_complex(dtype)) {
        TENON_RETURN_IF_ERROR(lex_.Expect("("));
        TENON_ASSIGN_OR_RETURN(const double re, lex_.Float());
        TENON_RETURN_IF_ERROR(lex_.Expect(","));
        TENON_ASSIGN_OR_RETURN(const double im, lex_.Float());
        TENON_RETURN_IF_ERROR(lex_.Expect(")"));
        complexes.emplace_back(re, im);
      } else {
        TENON_ASSIGN_OR_RETURN(const double v, lex_.Float());
        doubles.push_back(v);
      }
    }
    TENON_RETURN_IF_ERROR(lex_.Expect("}"));
    if (dtype == DType::kString) return Literal::from_strings(dims, std::move(strings));
    if (is_integer(dtype) || dtype == DType::kBool) return FromInts(dtype, dims, ints);
    if (is_complex(dtype)) return FromComplex(dtype, dims, complexes);
    return FromDoubles(dtype, dims, doubles);
  }

  TextLexer lex_;
  const Blobs& blobs_;
};

}  // namespace

Result<Graph> ParseGraph(std::string_view text, const Blobs& blobs) { return Parser(text, blobs).WholeGraph(); }
Result<Module> ParseModule(std::string_view text, const Blobs& blobs) { return Parser(text, blobs).WholeModule(); }

}  // namespace tenon::ir
