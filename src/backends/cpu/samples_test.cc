// Every op's own samples on this backend, in the dtypes that it takes, against the reference; error samples that fail
// at run time fail here too.
#include <set>

#include "backends/cpu/test_util.h"
#include "ir/op_table.h"

namespace tenon::cpu {
namespace {

using ir::Builder;
using ir::Type;
using ir::Value;

TEST(Samples, AgreeWithTheReference) {
  std::set<std::string> reference;
  for (const ir::OpFamily& family : ir::OpFamilies())
    for (const ir::OpDef& op : family.ops) {
      if (op.samples == nullptr || op.name == "input") continue;
      for (const ir::Sample& s : op.samples())
        for (const DType dtype : {DType::kF32, DType::kF64, DType::kF16, DType::kI32}) {
          if ((!s.error.empty() && s.error != "run") || (s.only_f32 && dtype != DType::kF32)) continue;
          ir::Graph g;
          Builder b(&g);
          std::vector<Value> args;
          std::vector<Literal> inputs;
          bool tensors = true;
          for (const auto& in : s.inputs) {
            Literal l = in ? *in : Literal();
            if (in && in->dtype() == DType::kF32 && dtype != DType::kF32) l = ir::Convert(l, dtype).value();
            args.push_back(in ? b.Input("", Type::Of(l)) : Value());
            if (in) inputs.push_back(l);
          }
          const std::vector<Value> outputs = b.AddAll(op.name, args, s.attrs);
          if (!b.ok()) continue;  // this dtype is not for it
          for (const Value v : outputs) tensors = tensors && g.type(v).is_tensor();
          if (!tensors) continue;
          g.set_outputs(outputs);
          SCOPED_TRACE(std::string(op.name) + " " + s.name + " " + std::string(dtype_name(dtype)));
          double factor = std::max(1.0, s.tolerance * 2 / std::max(ToleranceOf(dtype), 1e-30));
          if (dtype == DType::kF16 && op.Is(ir::kAccumulates)) factor = 8;
          const std::string plan = Check(g, inputs, {}, -1, factor);
          if (dtype == DType::kF32 && plan.find("ref:") != std::string::npos) reference.insert(std::string(op.name));
        }
    }
  std::string names;
  for (const std::string& n : reference) names += " " + n;
  std::printf("ops that ran on the reference (some sample, f32):%s\n", names.c_str());
}

}  // namespace
}  // namespace tenon::cpu
