#include "verify/record.h"

#include "base/status_macros.h"
#include "ir/eval.h"
#include "ir/numeric.h"

namespace tenon::verify {

namespace {

Literal Shaken(const Literal& value) {
  const DType t = value.dtype();
  if (!is_float(t) || dtype_bits(t) < 16) return value;
  const double unit = t == DType::kF64 ? 0x1p-52 : t == DType::kF32 ? 0x1p-24 : t == DType::kF16 ? 0x1p-11 : 0x1p-8;
  std::vector<double> elements = ir::ToDoubles(value);
  std::uint64_t state = 1;
  for (double& e : elements) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    e *= 1 + ((state >> 63) != 0 ? unit : -unit);
  }
  return ir::FromDoubles(DType::kF64, value.dims(), elements);
}

Result<Recorded> RunGraph(const ir::Module& module, const ir::Function& f, const ir::Graph& graph,
                          std::vector<ir::Datum> args, bool float64, bool keep, bool shake) {
  for (const std::string& path : f.reads) {
    const ir::VariablePtr cell = module.FindVariable(path);
    if (cell == nullptr)
      return Status(Code::kInternal, f.name + ": reads variable \"" + path + "\", which the module lacks");
    args.emplace_back(shake ? Shaken(cell->Read()) : cell->Read());
  }
  Recorded r;
  ir::EvalOptions options;
  options.float64 = float64;
  if (keep)
    options.observer = [&](ir::Value v, const ir::Datum& d) {
      if (d.kind != ir::Type::Kind::kTensor || !d.tensor) return;
      if (r.values.emplace(v, d.literal()).second) r.order.push_back(v);
    };
  TENON_ASSIGN_OR_RETURN(const std::vector<ir::Datum> out, ir::EvalGraph(graph, std::move(args), options));
  for (std::size_t i = 0; i < f.num_outputs(); ++i) {
    if (out[i].kind != ir::Type::Kind::kTensor)
      return Status(Code::kUnimplemented, f.name + ": output \"" + f.output_names[i] + "\" is no tensor");
    r.outputs.push_back(out[i].literal());
  }
  return r;
}

}  // namespace

Result<Recorded> RunReference(const ir::Module& module, const ir::Function& f, const std::vector<Literal>& inputs,
                              bool float64, bool keep) {
  return RunGraph(module, f, f.graph, {inputs.begin(), inputs.end()}, float64, keep, false);
}

Result<Recorded> RunShaken(const ir::Module& module, const ir::Function& f, const std::vector<Literal>& inputs,
                           bool keep) {
  std::vector<ir::Datum> args;
  for (const Literal& input : inputs) args.emplace_back(Shaken(input));
  ir::Graph graph = f.graph;
  for (std::int32_t id = 0; id < graph.size(); ++id)
    if (graph.node(id).op->name == "constant")
      graph.node(id).attrs.Set("value", Shaken(graph.node(id).attrs.Lit("value")));
  return RunGraph(module, f, graph, std::move(args), true, keep, true);
}

}  // namespace tenon::verify
