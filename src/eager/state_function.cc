#include "eager/state_function.h"

#include <algorithm>

#include "base/status_macros.h"
#include "base/threads.h"
#include "compiler/backend.h"
#include "runtime/executable.h"
#include "runtime/ports.h"

namespace tenon::eager {

StateFunction::StateFunction() = default;
StateFunction::~StateFunction() = default;
std::string StateFunction::Explain() const { return compiled_->Explain(); }

Result<std::shared_ptr<StateFunction>> StateFunction::Make(Trace::Traced traced, const StateFunctionOptions& options) {
  auto made = std::shared_ptr<StateFunction>(new StateFunction());
  made->graph_ = std::move(traced.graph);
  made->reads_ = std::move(traced.reads);
  made->writes_ = std::move(traced.writes);
  made->num_inputs_ = made->graph_.inputs().size() - made->reads_.size();
  made->num_outputs_ = made->graph_.outputs().size() - made->writes_.size();
  for (const ir::VariablePtr& cell : made->reads_) made->trainable_.push_back(cell->trainable());
  runtime::CompileOptions compile;
  compile.threads = options.threads > 0 ? options.threads : base::DefaultThreads();
  for (std::size_t w = 0; w < made->writes_.size(); ++w) {
    const auto it = std::find(made->reads_.begin(), made->reads_.end(), made->writes_[w]);
    const int read = static_cast<int>(it - made->reads_.begin());
    made->read_of_write_.push_back(read);
    compile.donations.push_back({static_cast<int>(made->num_inputs_) + read, static_cast<int>(made->num_outputs_ + w)});
    made->write_order_.push_back(static_cast<int>(w));
  }
  std::sort(made->write_order_.begin(), made->write_order_.end(), [&](int a, int b) {
    return made->writes_[static_cast<std::size_t>(a)].get() < made->writes_[static_cast<std::size_t>(b)].get();
  });
  const compiler::Backend* backend = compiler::FindBackend(options.backend);
  if (backend == nullptr)
    return Status(Code::kNotFound, "backend \"" + options.backend + "\": there is none of that name");
  TENON_ASSIGN_OR_RETURN(made->compiled_, backend->compile(made->graph_, compile));
  return made;
}

bool StateFunction::UpToDate() const {
  for (std::size_t i = 0; i < reads_.size(); ++i)
    if (reads_[i]->trainable() != trainable_[i]) return false;
  return true;
}

Result<std::vector<Literal>> StateFunction::Run(std::vector<Literal> inputs) {
  if (inputs.size() != num_inputs_)
    return Status(Code::kInvalidArgument, "function: got " + std::to_string(inputs.size()) + " inputs, expected " +
                                              std::to_string(num_inputs_));
  if (writes_.empty()) {
    for (const ir::VariablePtr& cell : reads_) inputs.push_back(cell->Read());
    return compiled_->Run(std::move(inputs));
  }
  const std::lock_guard lock(mutex_);
  if (context_ == nullptr) {
    context_ = compiled_->NewContext();
    in_.assign(num_inputs_ + reads_.size(), Literal());
    out_.assign(num_outputs_ + writes_.size(), Literal());
  }
  for (std::size_t i = 0; i < num_inputs_; ++i) in_[i] = std::move(inputs[i]);
  for (std::size_t r = 0; r < reads_.size(); ++r)
    if (std::find(read_of_write_.begin(), read_of_write_.end(), static_cast<int>(r)) == read_of_write_.end())
      in_[num_inputs_ + r] = reads_[r]->Read();
  for (const int w : write_order_) {
    const auto i = static_cast<std::size_t>(w);
    in_[num_inputs_ + static_cast<std::size_t>(read_of_write_[i])] = writes_[i]->Take();
  }
  const Status status = context_->Run(in_, out_);
  // Not kept: the caller's next batch is to find this storage free, and still in the cache.
  for (std::size_t i = 0; i < num_inputs_; ++i) in_[i] = runtime::EmptyLiteral();
  for (std::size_t w = 0; w < writes_.size(); ++w) {
    Literal& old = in_[num_inputs_ + static_cast<std::size_t>(read_of_write_[w])];
    Literal& fresh = out_[num_outputs_ + w];
    const bool keep_old = !status.ok() && old.dims() == writes_[w]->shape().values();
    writes_[w]->Give(keep_old ? std::move(old) : std::move(fresh));
  }
  TENON_RETURN_IF_ERROR(status);
  return std::vector<Literal>(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(num_outputs_));
}

}  // namespace tenon::eager
