// tenon::Module, the public handle on ir::Module.
#include "base/status_macros.h"
#include "ir/module.h"
#include "ir/text.h"
#include "tenon/module.h"

namespace tenon {
namespace {

TensorSpec SpecOf(const std::string& name, const ir::Type& type) {
  TensorSpec spec{.name = name, .dtype = type.dtype(), .shape = {}, .rank_known = type.is_tensor() && type.has_rank()};
  if (spec.rank_known) spec.shape = type.shape();
  return spec;
}

}  // namespace

Module::Module() : module_(std::make_shared<ir::Module>()) {}

std::vector<std::string> Module::signatures() const {
  std::vector<std::string> names;
  for (const ir::Function& f : module_->functions) names.push_back(f.name);
  return names;
}

Result<SignatureSpec> Module::signature(const std::string& name) const {
  TENON_ASSIGN_OR_RETURN(const ir::Function* f, module_->Signature(name));
  SignatureSpec spec{.name = f->name, .inputs = {}, .outputs = {}};
  for (std::size_t i = 0; i < f->num_inputs(); ++i) spec.inputs.push_back(SpecOf(f->input_names[i], f->input_type(i)));
  for (std::size_t i = 0; i < f->num_outputs(); ++i)
    spec.outputs.push_back(SpecOf(f->output_names[i], f->output_type(i)));
  return spec;
}

std::vector<VariableSpec> Module::variables() const {
  std::vector<VariableSpec> out;
  for (const ir::VariablePtr& v : module_->variables)
    out.push_back({.path = v->path(), .dtype = v->dtype(), .shape = v->shape(), .trainable = v->trainable()});
  return out;
}

Result<Literal> Module::variable(const std::string& path) const {
  const ir::VariablePtr cell = module_->FindVariable(path);
  if (cell == nullptr) return Status(Code::kNotFound, "module: has no variable \"" + path + "\"");
  return cell->Read();
}

std::map<std::string, std::string> Module::metadata() const { return module_->metadata; }

std::string Module::to_string() const { return ir::PrintModule(*module_); }

Result<std::map<std::string, Literal>> Module::run(const std::map<std::string, Literal>& inputs,
                                                   const std::string& signature) const {
  TENON_ASSIGN_OR_RETURN(const ir::Function* f, module_->Signature(signature));
  std::vector<Literal> args;
  for (const std::string& name : f->input_names) {
    const auto it = inputs.find(name);
    if (it == inputs.end()) return Status(Code::kInvalidArgument, f->name + ": input \"" + name + "\" is missing");
    args.push_back(it->second);
  }
  if (inputs.size() != args.size())
    return Status(Code::kInvalidArgument, f->name + ": got " + std::to_string(inputs.size()) + " inputs, expected " +
                                              std::to_string(args.size()));
  TENON_ASSIGN_OR_RETURN(std::vector<Literal> results, ir::RunFunction(*module_, *f, std::move(args)));
  std::map<std::string, Literal> out;
  for (std::size_t i = 0; i < results.size(); ++i) out.emplace(f->output_names[i], std::move(results[i]));
  return out;
}

}  // namespace tenon
