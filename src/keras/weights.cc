// save_weights, load_weights: an npz archive with one array per variable path.
#include "eager/node.h"
#include "ir/variable.h"
#include "keras/model_state.h"
#include "tenon/keras/model.h"
#include "tensor/npz.h"

namespace tenon::keras {

int Model::metric_direction(const std::string& log) const { return self().state_->Direction(log); }

void Model::save_weights(const std::string& path) const {
  if (!path.ends_with(".weights.npz"))
    fail(Code::kInvalidArgument, "save_weights: got \"" + path + "\", expected a name that ends in .weights.npz");
  std::map<std::string, Literal> arrays;
  for (const Variable& v : variables())
    if (!arrays.emplace(v.path(), v.cell()->Read()).second)
      fail(Code::kFailedPrecondition,
           "save_weights: two variables are called \"" + v.path() + "\"; give their layers different names");
  if (Status s = npy::WriteNpz(path, arrays); !s.ok()) fail(s);
}

void Model::load_weights(const std::string& path) const {
  Result<std::map<std::string, Literal>> arrays = npy::ReadNpz(path);
  if (!arrays.ok()) fail(arrays.status());
  std::string wrong;
  const std::vector<Variable> own = variables();
  if (own.empty())
    fail(Code::kFailedPrecondition, "load_weights: the model has no weights yet; build or call it first");
  for (const Variable& v : own) {
    const auto it = arrays->find(v.path());
    if (it == arrays->end())
      wrong += "\n  \"" + v.path() + "\" is missing";
    else if (it->second.dtype() != v.dtype() || it->second.shape() != v.shape())
      wrong += "\n  \"" + v.path() + "\": got " + ir::Type::Of(it->second).to_string() + ", expected " +
               v.cell()->type().to_string();
  }
  for (const auto& [name, value] : *arrays) {
    bool known = false;
    for (const Variable& v : own) known = known || v.path() == name;
    if (!known) wrong += "\n  \"" + name + "\" is in the file but not in the model";
  }
  if (!wrong.empty()) fail(Code::kInvalidArgument, path + ": does not fit model \"" + name() + "\":" + wrong);
  for (const Variable& v : own) v.assign(Tensor(arrays->at(v.path())));
}

}  // namespace tenon::keras
