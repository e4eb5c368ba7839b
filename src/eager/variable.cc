#include "ir/variable.h"

#include "eager/tape.h"
#include "eager/trace.h"

namespace tenon {
namespace {
const std::shared_ptr<ir::VariableCell>& CellOf(const Variable& v) {
  if (!v.defined())
    fail(Code::kFailedPrecondition,
         "Variable: used before it was made (a layer's weights exist after its first call or build)");
  return v.cell();
}
}  // namespace

Variable::Variable(const Tensor& initial, VariableOptions options)
    : cell_(std::make_shared<ir::VariableCell>(std::move(options.name), initial.literal(), options.trainable)) {}

Tensor Variable::value() const {
  const std::shared_ptr<ir::VariableCell>& cell = CellOf(*this);
  Tensor t;
  if (eager::Trace* trace = eager::Trace::Current())
    t = trace->Read(cell);
  else
    t = eager::MakeEager(cell->Read());
  for (eager::Tape* tape : eager::ActiveTapes())
    if (tape->recording()) tape->Read(cell, t);
  return t;
}

void Variable::assign(const Tensor& value) const {
  const std::shared_ptr<ir::VariableCell>& cell = CellOf(*this);
  if (eager::Trace* trace = eager::Trace::Current()) {
    trace->Assign(cell, value);
    return;
  }
  if (Status s = cell->Assign(value.literal()); !s.ok()) fail(std::move(s));
}

const std::string& Variable::path() const { return CellOf(*this)->path(); }
DType Variable::dtype() const { return CellOf(*this)->dtype(); }
const Shape& Variable::shape() const { return CellOf(*this)->shape(); }
bool Variable::trainable() const { return CellOf(*this)->trainable(); }
void Variable::set_trainable(bool trainable) const { CellOf(*this)->set_trainable(trainable); }

}  // namespace tenon
