#include "tenon/keras/layer.h"

#include <cxxabi.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <mutex>
#include <typeinfo>

#include "eager/node.h"
#include "eager/trace.h"
#include "ir/variable.h"
#include "keras/layer_call.h"

namespace tenon::keras {
namespace {

thread_local std::optional<bool> current_training;

struct Factories {
  std::mutex mutex;
  std::map<std::string, std::function<Layer(const Config&)>> by_name;
  std::map<std::string, std::string> name_of_type;
};
Factories& AllFactories() {
  static Factories factories;
  return factories;
}

// "BatchNormalization" -> "batch_normalization", "Conv2D" -> "conv2d", as Keras does.
std::string SnakeCase(const std::string& name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool upper = std::isupper(static_cast<unsigned char>(name[i])) != 0;
    const bool next_lower = i + 1 < name.size() && std::islower(static_cast<unsigned char>(name[i + 1])) != 0;
    const bool after_lower = i > 0 && std::islower(static_cast<unsigned char>(name[i - 1])) != 0;
    if (upper && i > 0 && (next_lower || after_lower)) out += '_';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
  }
  return out;
}

std::string AutomaticName(const std::string& stem) {
  static std::mutex mutex;
  static std::map<std::string, int> counts;
  const std::lock_guard lock(mutex);
  const int n = counts[stem]++;
  return n == 0 ? stem : stem + "_" + std::to_string(n);
}

Tensor One(const Layer& layer, std::vector<Tensor> outputs) {
  if (outputs.size() != 1)
    fail(Code::kInvalidArgument, "layer \"" + layer.name() + "\": gives " + std::to_string(outputs.size()) +
                                     " outputs, expected one; call_all gives them all");
  return std::move(outputs[0]);
}

}  // namespace

void register_layer_factory(const std::string& name, std::string type_id, std::function<Layer(const Config&)> factory) {
  Factories& all = AllFactories();
  const std::lock_guard lock(all.mutex);
  all.by_name.insert_or_assign(name, std::move(factory));
  all.name_of_type.insert_or_assign(std::move(type_id), name);
}

std::string LayerImpl::class_name() const {
  const char* mangled = typeid(*this).name();
  {
    Factories& all = AllFactories();
    const std::lock_guard lock(all.mutex);
    const auto it = all.name_of_type.find(mangled);
    if (it != all.name_of_type.end()) return it->second;
  }
  int status = 0;
  char* readable = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  std::string name = status == 0 ? readable : "Layer";
  std::free(readable);
  if (const std::size_t at = name.rfind("::"); at != std::string::npos) name = name.substr(at + 2);
  if (name.ends_with("Impl")) name.resize(name.size() - 4);
  return name;
}

const std::string& LayerImpl::name() const {
  if (name_.empty()) name_ = AutomaticName(SnakeCase(class_name()));
  return name_;
}

void LayerImpl::build(const Shape& /*input*/) {}
void LayerImpl::build_all(std::span<const Shape> inputs) { build(inputs[0]); }
Tensor LayerImpl::call(const Tensor& /*x*/, const CallArgs& /*args*/) {
  fail(Code::kUnimplemented, "layer \"" + name() + "\": override call (one input and output) or call_all");
}
std::vector<Tensor> LayerImpl::call_all(std::span<const Tensor> inputs, const CallArgs& args) {
  if (inputs.size() != 1)
    fail(Code::kInvalidArgument, "layer \"" + name() + "\": got " + std::to_string(inputs.size()) +
                                     " inputs, expected 1 (override call_all for more)");
  return {call(inputs[0], args)};
}

void LayerImpl::set_trainable(bool trainable) {
  trainable_ = trainable;
  for (const Variable& v : weights_) {
    const bool frozen = std::any_of(frozen_.begin(), frozen_.end(), [&](const Variable& f) { return f.same_as(v); });
    v.set_trainable(trainable && !frozen);
  }
  for (const std::shared_ptr<LayerImpl>& l : sublayers()) l->set_trainable(trainable);
}

void LayerImpl::ensure_built(std::span<const Shape> inputs) {
  if (built_) return;
  const eager::SuspendTrace suspend;  // initializers run now, whatever is being traced
  built_ = true;
  try {
    build_all(inputs);
  } catch (...) {
    built_ = false;
    throw;
  }
}

Variable LayerImpl::add_weight(const std::string& weight, const Shape& shape, WeightOptions options) {
  const eager::SuspendTrace suspend;
  const Initializer init = Initializer::get(options.initializer);
  auto cell = std::make_shared<ir::VariableCell>(name() + "/" + weight, init(shape, options.dtype),
                                                 options.trainable && trainable_, init.name());
  weights_.emplace_back(std::move(cell));
  if (!options.trainable) frozen_.push_back(weights_.back());
  return weights_.back();
}

Variable LayerImpl::add_state(const std::string& state, const Literal& initial) {
  weights_.emplace_back(std::make_shared<ir::VariableCell>(name() + "/" + state, initial, false));
  frozen_.push_back(weights_.back());
  return weights_.back();
}

Variable LayerImpl::share_weight(Variable weight) {
  if (!weight.trainable()) frozen_.push_back(weight);
  weights_.push_back(weight);
  return weight;
}

void LayerImpl::adopt(const std::string& layer_name, std::shared_ptr<LayerImpl> layer) {
  if (layer->name_.empty()) layer->name_ = layer_name;
  layers_.push_back(std::move(layer));
}

void LayerImpl::collect(std::vector<Variable>& out) const {
  const auto add = [&](const Variable& v) {
    for (const Variable& seen : out)
      if (seen.same_as(v)) return;
    out.push_back(v);
  };
  for (const Variable& v : weights_) add(v);
  for (const std::shared_ptr<LayerImpl>& l : sublayers()) l->collect(out);
}

std::vector<Variable> LayerImpl::variables() const {
  std::vector<Variable> out;
  collect(out);
  return out;
}
std::vector<Variable> LayerImpl::trainable_variables() const {
  std::vector<Variable> out = variables();
  std::erase_if(out, [](const Variable& v) { return !v.trainable(); });
  return out;
}
std::vector<Variable> LayerImpl::non_trainable_variables() const {
  std::vector<Variable> out = variables();
  std::erase_if(out, [](const Variable& v) { return v.trainable(); });
  return out;
}

bool CurrentTraining() { return current_training.value_or(false); }
bool IsTraining(const CallArgs& args) { return args.training.value_or(CurrentTraining()); }

namespace {
class TrainingScope {
 public:
  explicit TrainingScope(std::optional<bool> training) : saved_(current_training) {
    if (training) current_training = training;
  }
  ~TrainingScope() { current_training = saved_; }

 private:
  std::optional<bool> saved_;
};
}  // namespace

std::vector<Tensor> Layer::call_all(std::span<const Tensor> xs, const CallArgs& args) const {
  std::vector<Shape> shapes;
  bool symbolic = false;
  for (const Tensor& x : xs) {
    shapes.push_back(x.shape());
    symbolic = symbolic || x.symbolic();
  }
  impl()->ensure_built(shapes);
  const TrainingScope scope(args.training);
  CallArgs resolved = args;
  resolved.training = IsTraining(args);
  if (!symbolic || eager::Trace::Current() != nullptr) return impl()->call_all(xs, resolved);
  // Building a model from keras::Input: run once for the types, then let the results remember this layer.
  std::vector<Tensor> ys = impl()->call_all(xs, {.training = false});
  auto call = std::make_shared<eager::Call>();
  call->inputs.assign(xs.begin(), xs.end());
  call->producer = std::make_shared<LayerProducer>(impl(), args);
  for (std::size_t k = 0; k < ys.size(); ++k) {
    auto node = std::make_shared<eager::Node>();
    node->type = eager::TypeOf(ys[k]);
    if (ys[k].symbolic()) node->symbolic = ys[k].node()->symbolic;
    node->call = call;
    node->index = static_cast<int>(k);
    ys[k] = Tensor(eager::NodePtr(std::move(node)));
  }
  return ys;
}

Tensor Layer::operator()(const Tensor& x, const CallArgs& args) const {
  return One(*this, call_all(std::span(&x, 1), args));
}

Tensor Layer::operator()(std::initializer_list<Tensor> xs, const CallArgs& args) const {
  return One(*this, call_all(std::span(xs.begin(), xs.size()), args));
}

std::vector<Tensor> Layer::get_weights() const {
  std::vector<Tensor> out;
  for (const Variable& v : variables()) out.push_back(v.value());
  return out;
}

void Layer::set_weights(const std::vector<Tensor>& weights) const {
  const std::vector<Variable> own = variables();
  if (own.size() != weights.size())
    fail(Code::kInvalidArgument, "layer \"" + name() + "\": got " + std::to_string(weights.size()) +
                                     " weights, expected " + std::to_string(own.size()));
  for (std::size_t i = 0; i < own.size(); ++i)  // check all before any is written
    if (own[i].shape() != weights[i].shape() || own[i].dtype() != weights[i].dtype())
      fail(Code::kInvalidArgument, "weight \"" + own[i].path() + "\": got " + eager::TypeOf(weights[i]).to_string() +
                                       ", expected " + own[i].cell()->type().to_string());
  for (std::size_t i = 0; i < own.size(); ++i) own[i].assign(weights[i]);
}

std::int64_t Layer::count_params() const {
  std::int64_t n = 0;
  for (const Variable& v : variables())
    if (v.cell()->dtype() != DType::kU64) n += v.shape().size().value();  // random states are no parameters
  return n;
}

Tensor Input(const Shape& shape, InputOptions options) {
  std::vector<Dim> dims;
  dims.push_back(options.batch_size ? Dim(*options.batch_size) : Dim::symbol("batch"));
  dims.insert(dims.end(), shape.dims().begin(), shape.dims().end());
  return eager::MakeSymbol(ir::Type::Tensor(options.dtype, Shape(std::move(dims))),
                           options.name.empty() ? AutomaticName("input_layer") : options.name, 0);
}

}  // namespace tenon::keras
