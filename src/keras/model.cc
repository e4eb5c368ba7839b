#include "tenon/keras/model.h"

#include "eager/trace.h"
#include "ir/module.h"
#include "keras/model_graph.h"
#include "keras/model_state.h"

namespace tenon::keras {

TensorsArg::TensorsArg(std::initializer_list<std::pair<const std::string, Tensor>> by_name) {
  for (const auto& [name, tensor] : by_name) {
    names.push_back(name);
    tensors.push_back(tensor);
  }
}

double Evaluation::operator[](const std::string& name) const {
  const auto it = values.find(name);
  if (it != values.end()) return it->second;
  std::string names;
  for (const auto& [known, value] : values) names += (names.empty() ? "" : ", ") + known;
  fail(Code::kNotFound, "Evaluation: there is no \"" + name + "\", expected one of: " + names);
}

ModelImpl::ModelImpl() : state_(std::make_unique<ModelState>()) {}
ModelImpl::~ModelImpl() = default;

std::string ModelImpl::class_name() const {
  switch (kind_) {
    case Kind::kFunctional:
      return "Functional";
    case Kind::kSequential:
      return "Sequential";
    case Kind::kSubclass:
      break;
  }
  return LayerImpl::class_name();
}

void ModelImpl::build_all(std::span<const Shape> inputs) {
  if (kind_ == Kind::kSubclass) LayerImpl::build_all(inputs);
  if (kind_ == Kind::kFunctional || !sequential_inputs_.empty()) return;
  // What the first call brought, with its rows left open: module() exports it.
  for (const Shape& s : inputs) {
    std::vector<Dim> dims = s.dims();
    if (!dims.empty()) dims[0] = Dim::symbol("batch");
    sequential_inputs_.push_back(
        eager::MakeSymbol(ir::Type::Tensor(DType::kF32, Shape(std::move(dims))),
                          inputs.size() == 1 ? "inputs" : "inputs_" + std::to_string(sequential_inputs_.size()), 0));
  }
}

std::vector<std::shared_ptr<LayerImpl>> ModelImpl::sublayers() const {
  if (kind_ == Kind::kFunctional) return LayersOf(graph_.outputs);
  if (kind_ == Kind::kSequential) return sequence_;
  return LayerImpl::sublayers();
}

std::vector<Tensor> ModelImpl::call_all(std::span<const Tensor> inputs, const CallArgs& args) {
  if (kind_ == Kind::kFunctional) {
    if (inputs.size() != graph_.inputs.size())
      fail(Code::kInvalidArgument, "model \"" + name() + "\": got " + std::to_string(inputs.size()) +
                                       " inputs, expected " + std::to_string(graph_.inputs.size()));
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (!eager::TypeOf(graph_.inputs[i]).Accepts(eager::TypeOf(inputs[i])))
        fail(Code::kInvalidArgument, "model \"" + name() + "\": input \"" + graph_.inputs[i].node()->name + "\": got " +
                                         eager::TypeOf(inputs[i]).to_string() + ", expected " +
                                         eager::TypeOf(graph_.inputs[i]).to_string());
    return Replay(graph_.inputs, graph_.outputs, inputs, args);
  }
  if (kind_ == Kind::kSequential) {
    std::vector<Tensor> now(inputs.begin(), inputs.end());
    for (const std::shared_ptr<LayerImpl>& layer : sequence_) now = Layer(layer).call_all(now, args);
    return now;
  }
  return LayerImpl::call_all(inputs, args);
}

Model::Model(ModelOptions graph) : Model(std::make_shared<ModelImpl>()) {
  if (graph.inputs.empty() || graph.outputs.empty())
    fail(Code::kInvalidArgument, "Model: give at least one input and one output");
  for (const Tensor& t : graph.inputs)
    if (!t.symbolic() || t.node()->call) fail(Code::kInvalidArgument, "Model: every input must come from keras::Input");
  for (const Tensor& t : graph.outputs)
    if (!t.symbolic())
      fail(Code::kInvalidArgument, "Model: an output has a value; it must be computed from the inputs");
  // Finds outputs that hang on other inputs now, not at the first call.
  (void)Replay(graph.inputs, graph.outputs, graph.inputs, {.training = false});
  self().kind_ = ModelImpl::Kind::kFunctional;
  if (!graph.name.empty()) impl()->set_name(graph.name);
  self().graph_ = std::move(graph);
  std::vector<Shape> shapes;
  for (const Tensor& t : self().graph_.inputs) shapes.push_back(t.shape());
  impl()->ensure_built(shapes);
}

Sequential::Sequential(std::initializer_list<LayerArg> items) : Model(std::make_shared<ModelImpl>()) {
  self().kind_ = ModelImpl::Kind::kSequential;
  for (const LayerArg& item : items) add(item);
}

Sequential::Sequential(std::initializer_list<Sequential> items) : Sequential(std::initializer_list<LayerArg>{}) {
  for (const Sequential& item : items) add(item);
}

void Sequential::add(const LayerArg& item) const {
  ModelImpl& m = self();
  if (!item.layer) {
    if (!m.sequence_.empty() || !m.sequential_inputs_.empty())
      fail(Code::kInvalidArgument, "Sequential: an Input must come first and only once");
    if (!item.input.symbolic() || item.input.node()->call)
      fail(Code::kInvalidArgument, "Sequential: the first item must be a Tensor of keras::Input or a layer");
    m.sequential_inputs_ = {item.input};
    m.graph_.outputs = {item.input};  // the Tensor after the last layer
    const Shape shapes[] = {item.input.shape()};
    impl()->ensure_built(shapes);
    return;
  }
  m.sequence_.push_back(item.layer->impl());
  if (!m.graph_.outputs.empty()) m.graph_.outputs = item.layer->call_all(m.graph_.outputs);  // builds it now
}

std::vector<Layer> Model::layers() const {
  std::vector<Layer> out;
  for (const std::shared_ptr<LayerImpl>& l : impl()->sublayers()) out.emplace_back(l);
  return out;
}

Layer Model::get_layer(const std::string& name) const {
  std::string names;
  for (const Layer& l : layers()) {
    if (l.name() == name) return l;
    names += (names.empty() ? "" : ", ") + l.name();
  }
  fail(Code::kNotFound, "model \"" + this->name() + "\": has no layer \"" + name + "\", expected one of: " + names);
}

void Model::stop_training() const { self().stop_training = true; }

Optimizer Model::optimizer() const {
  if (!self().state_->optimizer)
    fail(Code::kFailedPrecondition, "model \"" + name() + "\": has no optimizer before compile()");
  return *self().state_->optimizer;
}

std::vector<std::string> OutputNames(const LayerImpl& layer, std::size_t outputs) {
  std::vector<std::string> names;
  const auto* model = dynamic_cast<const ModelImpl*>(&layer);
  for (std::size_t i = 0; i < outputs; ++i) {
    std::string name;
    if (model != nullptr) name = model->output_name(i);
    if (name.empty()) name = outputs == 1 ? "output_0" : "output_" + std::to_string(i);
    int copies = 0;
    for (const std::string& n : names)
      if (n == name || n.starts_with(name + "_")) ++copies;
    names.push_back(copies == 0 ? name : name + "_" + std::to_string(copies));
  }
  return names;
}

std::string ModelImpl::output_name(std::size_t i) const {
  if (kind_ == Kind::kSequential && !sequence_.empty() && i == 0) return sequence_.back()->name();
  if (kind_ != Kind::kFunctional || i >= graph_.outputs.size()) return {};
  const Tensor& t = graph_.outputs[i];
  if (const auto layer = LayerOf(t)) return layer->name();
  return t.node()->call ? std::string(t.node()->call->op->name) : t.node()->name;
}

Module Model::module() const {
  const ModelImpl& m = self();
  const std::vector<Tensor>& declared =
      m.kind_ == ModelImpl::Kind::kFunctional ? m.graph_.inputs : m.sequential_inputs_;
  if (declared.empty())
    fail(Code::kFailedPrecondition,
         "model \"" + name() +
             "\": has never been called, so its inputs are not known; call it, fit it or start it with keras::Input");
  eager::Trace trace;
  std::vector<Tensor> inputs;
  ir::Function function;
  function.name = "serving_default";
  for (const Tensor& t : declared) {
    inputs.push_back(trace.Input(t.node()->type, t.node()->name));
    function.input_names.push_back(t.node()->name);
  }
  const std::vector<Tensor> outputs = call_all(inputs, {.training = false});
  Result<eager::Trace::Traced> traced = trace.Finish(outputs);
  if (!traced.ok()) fail(traced.status());
  if (!traced->writes.empty())
    fail(Code::kUnimplemented, "model \"" + name() + "\": changes variable \"" + traced->writes[0]->path() +
                                   "\" during inference, which a module cannot hold yet");
  function.output_names = OutputNames(m, outputs.size());
  function.graph = std::move(traced->graph);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    function.graph.output(function.graph.outputs()[i]).record.name = function.output_names[i];
  for (const ir::VariablePtr& cell : traced->reads) function.reads.push_back(cell->path());
  auto module = std::make_shared<ir::Module>();
  for (const Variable& v : variables()) {
    // Random states serve training only.
    if (v.dtype() == DType::kU64) continue;
    if (Status s = module->AddVariable(v.cell()); !s.ok())
      fail(s.with_context("model \"" + name() + "\" (give the layers different names)"));
  }
  for (const ir::VariablePtr& cell : traced->reads)
    if (module->FindVariable(cell->path()) == nullptr) module->variables.push_back(cell);
  module->functions.push_back(std::move(function));
  module->metadata["producer"] = "tenon";
  return Module(std::move(module));
}

}  // namespace tenon::keras
