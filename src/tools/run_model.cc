#include <iostream>

#include "tenon/compile.h"
#include "tenon/formats.h"
#include "tensor/npz.h"
#include "tools/commands.h"

namespace tenon::tools {
namespace {

// Types that NumPy lacks come as their bits: uint16 for bf16, uint8 for f8.
Result<Literal> AsDeclared(const Literal& given, const TensorSpec& spec) {
  if (given.dtype() == spec.dtype) return given;
  const bool bits = (spec.dtype == DType::kBF16 && given.dtype() == DType::kU16) ||
                    (is_float(spec.dtype) && dtype_bits(spec.dtype) == 8 && given.dtype() == DType::kU8);
  if (bits) return Literal::from_buffer(spec.dtype, given.dims(), given.buffer());
  return Status(Code::kInvalidArgument, "input \"" + spec.name + "\": got " + std::string(dtype_name(given.dtype())) +
                                            ", expected " + std::string(dtype_name(spec.dtype)));
}

}  // namespace

int RunModel(const RunModelOptions& o) {
  const Result<Module> module = load(o.model);
  if (!module.ok()) return Fail("run", module.status());
  Result<std::map<std::string, Literal>> given = npy::ReadNpz(o.inputs);
  if (!given.ok()) return Fail("run", given.status());
  const Result<SignatureSpec> signature = module->signature(o.signature);
  if (!signature.ok()) return Fail("run", signature.status());
  std::map<std::string, Literal> inputs;
  for (const TensorSpec& spec : signature->inputs) {
    const auto it = given->find(spec.name);
    if (it == given->end())
      return Fail("run", Status(Code::kInvalidArgument,
                                o.inputs + ": has no array \"" + spec.name + "\", an input of the signature"));
    Result<Literal> value = AsDeclared(it->second, spec);
    if (!value.ok()) return Fail("run", value.status());
    inputs.emplace(spec.name, *std::move(value));
  }
  for (const auto& [name, value] : *given)
    if (!inputs.contains(name))
      return Fail("run", Status(Code::kInvalidArgument,
                                o.inputs + ": has an array \"" + name + "\", which is no input of the signature"));
  CompileOptions options{.threads = o.threads, .backend = o.float64 ? "ref" : o.backend, .float64 = o.float64};
  const Result<Executable> exe = compile(*module, options);
  if (!exe.ok()) return Fail("run", exe.status());
  const Result<std::map<std::string, Literal>> outputs = exe->run(inputs, signature->name);
  if (!outputs.ok()) return Fail("run", outputs.status());
  if (const Status s = npy::WriteNpz(o.outputs, *outputs); !s.ok()) return Fail("run", s);
  for (const auto& [name, value] : *outputs)
    std::cerr << name << " : " << dtype_name(value.dtype()) << value.shape() << '\n';
  return kDone;
}

}  // namespace tenon::tools
