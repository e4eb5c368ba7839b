#include "tenon/compile.h"

#include <algorithm>
#include <set>

#include "base/status_macros.h"
#include "base/threads.h"
#include "compiler/backend.h"
#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/module.h"

namespace tenon {
namespace api {

// One signature, compiled. Inputs of the compiled graph: the user's, then one per variable that some signature writes.
struct Entry {
  const ir::Function* function = nullptr;
  std::vector<ir::VariablePtr> reads;  // the variables that stayed inputs
  std::vector<int> read_of_write;      // index into reads for each write
  std::vector<ir::VariablePtr> writes;
  std::unique_ptr<runtime::CompiledFunction> compiled;
};

class ExecutableImpl {
 public:
  Module module;
  std::shared_ptr<const ir::Module> ir;
  std::map<std::string, Entry> entries;

  Result<const Entry*> Find(const std::string& signature) const {
    TENON_ASSIGN_OR_RETURN(const ir::Function* f, ir->Signature(signature));
    return &entries.at(f->name);
  }
};

class ContextImpl {
 public:
  std::shared_ptr<const ExecutableImpl> executable;
  const Entry* entry = nullptr;
  std::unique_ptr<runtime::Context> context;
  std::vector<Literal> in, out;
};

namespace {

Result<std::vector<Literal>> RunEntry(const Entry& e, std::vector<Literal> inputs) {
  const ir::Function& f = *e.function;
  if (inputs.size() != f.num_inputs())
    return Status(Code::kInvalidArgument, f.name + ": got " + std::to_string(inputs.size()) + " inputs, expected " +
                                              std::to_string(f.num_inputs()));
  // Written variables are locked in the order of their addresses, so that two signatures cannot wait for each other.
  std::vector<std::size_t> order(e.writes.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return e.writes[a].get() < e.writes[b].get(); });
  std::set<int> written(e.read_of_write.begin(), e.read_of_write.end());
  for (std::size_t r = 0; r < e.reads.size(); ++r)
    inputs.push_back(written.contains(static_cast<int>(r)) ? Literal() : e.reads[r]->Read());
  if (e.writes.empty()) return e.compiled->Run(std::move(inputs));
  for (const std::size_t w : order)
    inputs[f.num_inputs() + static_cast<std::size_t>(e.read_of_write[w])] = e.writes[w]->Take();
  std::vector<Literal> out(f.num_outputs() + e.writes.size());
  const Status status = e.compiled->Run(std::span(inputs), std::span(out));
  for (std::size_t w = 0; w < e.writes.size(); ++w) {
    Literal& old = inputs[f.num_inputs() + static_cast<std::size_t>(e.read_of_write[w])];
    const bool keep_old = !status.ok() && old.dims() == e.writes[w]->shape().values();
    e.writes[w]->Give(keep_old ? std::move(old) : std::move(out[f.num_outputs() + w]));
  }
  TENON_RETURN_IF_ERROR(status);
  out.resize(f.num_outputs());
  return out;
}

Result<Entry> CompileFunction(const ir::Module& module, const ir::Function& f, const std::set<std::string>& written,
                              const CompileOptions& options) {
  Entry e;
  e.function = &f;
  // Rebuild with the read-only variables as constants; the others stay inputs, after the user's.
  ir::Graph graph;
  ir::Builder b(&graph);
  std::vector<std::vector<ir::Value>> moved(static_cast<std::size_t>(f.graph.size()));
  const std::vector<ir::Value>& inputs = f.graph.inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ir::Output& declared = f.graph.output(inputs[i]);
    ir::Value v;
    if (i < f.num_inputs()) {
      v = b.Input(f.input_names[i], declared.type);
    } else {
      const std::string& path = f.reads[i - f.num_inputs()];
      const ir::VariablePtr cell = module.FindVariable(path);
      if (cell == nullptr)
        return Status(Code::kInternal, f.name + ": reads variable \"" + path + "\", which the module lacks");
      if (written.contains(path)) {
        v = b.Input(path, cell->type());
        e.reads.push_back(cell);
      } else {
        v = b.Constant(cell->Read());
      }
    }
    TENON_RETURN_IF_ERROR(b.status());
    graph.output(v).record = declared.record;
    moved[static_cast<std::size_t>(inputs[i].node)] = {v};
  }
  // A variable that is only written is an input as well: the new value may take its storage.
  for (const std::string& path : f.writes) {
    if (std::find(f.reads.begin(), f.reads.end(), path) != f.reads.end()) continue;
    const ir::VariablePtr cell = module.FindVariable(path);
    if (cell == nullptr)
      return Status(Code::kInternal, f.name + ": writes variable \"" + path + "\", which the module lacks");
    b.Input(path, cell->type());
    TENON_RETURN_IF_ERROR(b.status());
    e.reads.push_back(cell);
  }
  for (std::int32_t id = 0; id < f.graph.size(); ++id) {
    ir::Node n = f.graph.node(id);
    if (n.op->name == "input") continue;
    const auto remap = [&](ir::Value v) {
      return v.valid() ? moved[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)] : v;
    };
    for (ir::Value& v : n.inputs) v = remap(v);
    const std::size_t outputs = n.outputs.size();
    const std::int32_t at = graph.Append(std::move(n));
    for (std::size_t k = 0; k < outputs; ++k)
      moved[static_cast<std::size_t>(id)].push_back({at, static_cast<std::int32_t>(k)});
  }
  std::vector<ir::Value> outputs;
  for (const ir::Value v : f.graph.outputs())
    outputs.push_back(moved[static_cast<std::size_t>(v.node)][static_cast<std::size_t>(v.index)]);
  graph.set_outputs(std::move(outputs));

  runtime::CompileOptions compile;
  compile.threads = options.threads > 0 ? options.threads : base::DefaultThreads();
  compile.float64 = options.float64;
  for (std::size_t w = 0; w < f.writes.size(); ++w) {
    const auto it = std::find_if(e.reads.begin(), e.reads.end(),
                                 [&](const ir::VariablePtr& v) { return v->path() == f.writes[w]; });
    if (it == e.reads.end())
      return Status(Code::kInternal, f.name + ": writes variable \"" + f.writes[w] + "\" without reading it");
    const int read = static_cast<int>(it - e.reads.begin());
    e.read_of_write.push_back(read);
    e.writes.push_back(*it);
    compile.donations.push_back({static_cast<int>(f.num_inputs()) + read, static_cast<int>(f.num_outputs() + w)});
  }
  const compiler::Backend* backend = compiler::FindBackend(options.backend);
  if (backend == nullptr)
    return Status(Code::kNotFound,
                  "backend \"" + options.backend + "\": there is none of that name, expected cpu or ref");
  Result<std::unique_ptr<runtime::CompiledFunction>> compiled = backend->compile(graph, compile);
  if (!compiled.ok()) return compiled.status().with_context("signature \"" + f.name + "\"");
  e.compiled = *std::move(compiled);
  return e;
}

}  // namespace
}  // namespace api

Result<Executable> compile(const Module& module, CompileOptions options) {
  if (options.precision != Precision::kF32)
    return Status(Code::kUnimplemented,
                  "compile: precision bf16 and int8 are not available in this version; use Precision::kF32");
  auto impl = std::make_shared<api::ExecutableImpl>();
  impl->module = module;
  impl->ir = module.impl();
  std::set<std::string> written;
  for (const ir::Function& f : impl->ir->functions) written.insert(f.writes.begin(), f.writes.end());
  for (const ir::Function& f : impl->ir->functions) {
    TENON_ASSIGN_OR_RETURN(api::Entry e, api::CompileFunction(*impl->ir, f, written, options));
    impl->entries.emplace(f.name, std::move(e));
  }
  return Executable(std::move(impl));
}

const Module& Executable::module() const { return impl_->module; }

std::string Executable::explain() const {
  std::string out;
  for (const auto& [name, e] : impl_->entries) out += name + ":\n" + e.compiled->Explain();
  return out;
}

Result<std::vector<Literal>> Executable::run_ordered(std::vector<Literal> inputs, const std::string& signature) const {
  TENON_ASSIGN_OR_RETURN(const api::Entry* e, impl_->Find(signature));
  return api::RunEntry(*e, std::move(inputs));
}

Result<std::map<std::string, Literal>> Executable::run(const std::map<std::string, Literal>& inputs,
                                                       const std::string& signature) const {
  TENON_ASSIGN_OR_RETURN(const api::Entry* e, impl_->Find(signature));
  const ir::Function& f = *e->function;
  std::vector<Literal> ordered;
  for (const std::string& name : f.input_names) {
    const auto it = inputs.find(name);
    if (it == inputs.end()) return Status(Code::kInvalidArgument, f.name + ": input \"" + name + "\" is missing");
    ordered.push_back(it->second);
  }
  for (const auto& [name, value] : inputs)
    if (std::find(f.input_names.begin(), f.input_names.end(), name) == f.input_names.end())
      return Status(Code::kInvalidArgument, f.name + ": got input \"" + name + "\", which the signature does not have");
  TENON_ASSIGN_OR_RETURN(std::vector<Literal> results, api::RunEntry(*e, std::move(ordered)));
  std::map<std::string, Literal> out;
  for (std::size_t i = 0; i < results.size(); ++i) out.emplace(f.output_names[i], std::move(results[i]));
  return out;
}

Result<Context> Executable::context(const std::string& signature, const std::map<std::string, Shape>& inputs) const {
  TENON_ASSIGN_OR_RETURN(const api::Entry* e, impl_->Find(signature));
  const ir::Function& f = *e->function;
  if (!e->writes.empty())
    return Status(
        Code::kFailedPrecondition,
        f.name + ": updates variables; a Context with bound buffers is for signatures without state, use run()");
  auto impl = std::make_unique<api::ContextImpl>();
  impl->executable = impl_;
  impl->entry = e;
  ir::SymbolBinding symbols;
  for (std::size_t i = 0; i < f.num_inputs(); ++i) {
    const auto it = inputs.find(f.input_names[i]);
    if (it == inputs.end())
      return Status(Code::kInvalidArgument, f.name + ": the shape of input \"" + f.input_names[i] + "\" is missing");
    if (!it->second.is_static())
      return Status(Code::kInvalidArgument, f.name + ": input \"" + f.input_names[i] + "\": got shape " +
                                                it->second.to_string() + ", expected numbers");
    const DType dtype = f.input_type(i).dtype();
    TENON_RETURN_IF_ERROR(symbols.Bind(f.input_type(i), ir::Type::Tensor(dtype, it->second),
                                       f.name + ": input \"" + f.input_names[i] + "\""));
    impl->in.emplace_back(dtype, it->second.values());
  }
  if (inputs.size() != f.num_inputs())
    return Status(Code::kInvalidArgument, f.name + ": got " + std::to_string(inputs.size()) + " shapes, expected " +
                                              std::to_string(f.num_inputs()));
  for (const ir::VariablePtr& cell : e->reads) impl->in.push_back(cell->Read());
  for (std::size_t i = 0; i < f.num_outputs(); ++i) {
    const ir::Type type = symbols.Resolve(f.output_type(i));
    if (!type.is_static())
      return Status(Code::kFailedPrecondition, f.name + ": output \"" + f.output_names[i] + "\" is " +
                                                   type.to_string() + ", its dims depend on the data; use run()");
    impl->out.emplace_back(type.dtype(), type.shape().values());
  }
  impl->context = e->compiled->NewContext();
  // The plan is made now, so that the first call is like every other.
  std::vector<std::vector<std::int64_t>> dims;
  for (const Literal& l : impl->in) dims.push_back(l.dims());
  TENON_RETURN_IF_ERROR(e->compiled->Prepare(dims));
  return Context(std::move(impl));
}

Context::Context(std::unique_ptr<api::ContextImpl> impl) : impl_(std::move(impl)) {}
Context::Context(Context&&) noexcept = default;
Context& Context::operator=(Context&&) noexcept = default;
Context::~Context() = default;

namespace {
Result<Literal*> FindLiteral(const std::vector<std::string>& names, std::vector<Literal>& literals,
                             const std::string& name, DType dtype, const char* what) {
  std::string known;
  for (std::size_t i = 0; i < names.size(); ++i) {
    known += (i ? ", " : "") + names[i];
    if (names[i] != name) continue;
    if (literals[i].dtype() != dtype)
      return Status(Code::kInvalidArgument, std::string(what) + " \"" + name + "\": asked for " +
                                                std::string(dtype_name(dtype)) + ", it is " +
                                                std::string(dtype_name(literals[i].dtype())));
    return &literals[i];
  }
  return Status(Code::kNotFound,
                std::string(what) + " \"" + name + "\": there is none of that name, expected one of: " + known);
}
}  // namespace

Result<Literal*> Context::input_literal(const std::string& name, DType dtype) {
  return FindLiteral(impl_->entry->function->input_names, impl_->in, name, dtype, "input");
}
Result<Literal*> Context::output_literal(const std::string& name, DType dtype) {
  return FindLiteral(impl_->entry->function->output_names, impl_->out, name, dtype, "output");
}
Result<void> Context::operator()() { return impl_->context->Run(impl_->in, impl_->out); }

}  // namespace tenon
