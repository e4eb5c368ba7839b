#include "ir/module.h"

#include "base/status_macros.h"
#include "ir/eval.h"

namespace tenon::ir {

const Function* Module::FindFunction(std::string_view name) const {
  for (const Function& f : functions)
    if (f.name == name) return &f;
  return nullptr;
}

Function* Module::FindFunction(std::string_view name) {
  return const_cast<Function*>(static_cast<const Module*>(this)->FindFunction(name));
}

VariablePtr Module::FindVariable(std::string_view path) const {
  for (const VariablePtr& v : variables)
    if (v->path() == path) return v;
  return nullptr;
}

Result<const Function*> Module::Signature(std::string_view name) const {
  const Function* found = FindFunction(name.empty() ? "serving_default" : name);
  if (found == nullptr && name.empty() && !functions.empty()) found = &functions[0];
  if (found != nullptr) return found;
  std::string names;
  for (const Function& f : functions) names += (names.empty() ? "" : ", ") + f.name;
  return Status(Code::kNotFound, "module: got signature \"" + std::string(name) + "\", expected one of: " + names);
}

Status Module::AddVariable(VariablePtr cell) {
  if (FindVariable(cell->path()) != nullptr)
    return Status(Code::kAlreadyExists, "module: two variables are called \"" + cell->path() + "\"");
  variables.push_back(std::move(cell));
  return {};
}

Result<std::vector<Literal>> RunFunction(const Module& module, const Function& function, std::vector<Literal> inputs,
                                         const RunOptions& options) {
  if (inputs.size() != function.num_inputs())
    return Status(Code::kInvalidArgument, function.name + ": got " + std::to_string(inputs.size()) +
                                              " inputs, expected " + std::to_string(function.num_inputs()));
  std::vector<Datum> args;
  for (Literal& l : inputs) args.emplace_back(std::move(l));
  for (const std::string& path : function.reads) {
    const VariablePtr cell = module.FindVariable(path);
    if (cell == nullptr)
      return Status(Code::kInternal, function.name + ": reads variable \"" + path + "\", which the module lacks");
    args.emplace_back(cell->Read());
  }
  EvalOptions eval;
  eval.float64 = options.float64;
  TENON_ASSIGN_OR_RETURN(std::vector<Datum> results, EvalGraph(function.graph, std::move(args), eval));
  std::vector<Literal> out;
  for (std::size_t i = 0; i < function.num_outputs(); ++i) {
    if (results[i].kind != Type::Kind::kTensor)
      return Status(Code::kUnimplemented, function.name + ": output \"" + function.output_names[i] + "\" is a " +
                                              results[i].type().to_string() + ", expected a tensor");
    out.push_back(*std::move(results[i].tensor));
  }
  if (options.update && !options.float64)
    for (std::size_t i = 0; i < function.writes.size(); ++i) {
      const VariablePtr cell = module.FindVariable(function.writes[i]);
      if (cell == nullptr)
        return Status(Code::kInternal,
                      function.name + ": writes variable \"" + function.writes[i] + "\", which the module lacks");
      TENON_RETURN_IF_ERROR(cell->Assign(results[function.num_outputs() + i].literal()));
    }
  return out;
}

}  // namespace tenon::ir
