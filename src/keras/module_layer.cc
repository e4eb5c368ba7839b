#include "tenon/keras/module_layer.h"

#include <map>
#include <unordered_map>

#include "eager/dispatch.h"
#include "eager/node.h"
#include "ir/module.h"
#include "ir/op_def.h"
#include "keras/layer_call.h"
#include "keras/numeric.h"

namespace tenon::keras::layers {
namespace {

// Symbols of the Module's types as dims of this call.
class Symbols {
 public:
  void Bind(const ir::Type& declared, const Shape& actual) {
    if (!declared.is_tensor() || !declared.has_rank() || declared.rank() != actual.rank()) return;
    for (int i = 0; i < actual.rank(); ++i)
      if (const std::string_view name = declared.shape()[i].symbol_name(); !name.empty())
        dims_.emplace(std::string(name), actual[i]);
  }
  ir::Attrs Resolve(const ir::Attrs& attrs) const {
    ir::Attrs out = attrs;
    for (const auto& [name, value] : attrs)
      if (const Shape* shape = std::get_if<Shape>(&value); shape != nullptr && !shape->is_static())
        out.Set(name, ir::Type::Tensor(DType::kF32, *shape)
                          .Substitute([&](std::string_view symbol) -> std::optional<Dim> {
                            const auto it = dims_.find(std::string(symbol));
                            return it == dims_.end() ? std::nullopt : std::optional(it->second);
                          })
                          .shape());
    return out;
  }

 private:
  std::map<std::string, Dim> dims_;
};

class ModuleLayerImpl : public LayerImpl {
 public:
  ModuleLayerImpl(const Module& module, ModuleLayerOptions options) : module_(module), o_(std::move(options)) {
    Result<const ir::Function*> found = module.impl()->Signature(o_.signature);
    if (!found.ok()) fail(found.status());
    function_ = *found;
    if (!function_->writes.empty())
      fail(Code::kUnimplemented, "ModuleLayer: signature \"" + function_->name + "\" changes variable \"" +
                                     function_->writes[0] + "\", which a layer cannot hold yet");
    for (const std::string& path : function_->reads) {
      const ir::VariablePtr cell = module.impl()->FindVariable(path);
      if (cell == nullptr) fail(Code::kInternal, "ModuleLayer: the module lacks variable \"" + path + "\"");
      reads_.push_back(share_weight(Variable(cell)));
    }
  }

  std::vector<Tensor> call_all(std::span<const Tensor> inputs, const CallArgs& args) override {
    const ir::Function& f = *function_;
    if (inputs.size() != f.num_inputs())
      fail(Code::kInvalidArgument, "ModuleLayer \"" + name() + "\": got " + std::to_string(inputs.size()) +
                                       " inputs, expected " + std::to_string(f.num_inputs()));
    const bool training = IsTraining(args) && trainable();
    std::unordered_map<ir::Value, Tensor, ir::ValueHash> values;
    Symbols symbols;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].dtype() != f.input_type(i).dtype())
        fail(Code::kInvalidArgument, "ModuleLayer \"" + name() + "\": input \"" + f.input_names[i] + "\" is " +
                                         std::string(dtype_name(inputs[i].dtype())) + ", expected " +
                                         f.input_type(i).to_string());
      values[f.input(i)] = inputs[i];
      symbols.Bind(f.input_type(i), inputs[i].shape());
    }
    std::unordered_map<std::int32_t, const Variable*> variables;  // by graph input
    for (std::size_t i = 0; i < reads_.size(); ++i) {
      values[f.read_input(i)] = reads_[i];
      variables[f.read_input(i).node] = &reads_[i];
    }
    for (std::int32_t id = 0; id < f.graph.size(); ++id) {
      const ir::Node& node = f.graph.node(id);
      if (node.op->name == "input") continue;
      if (node.op->name == "constant") {
        values[{id, 0}] = Tensor(node.attrs.Lit("value"));
        continue;
      }
      std::vector<Tensor> operands;
      for (const ir::Value v : node.inputs) operands.push_back(v.valid() ? values.at(v) : Tensor());
      std::vector<Tensor> out;
      if (training && node.op->name == "batch_norm" && variables.contains(node.inputs[1].node) &&
          variables.contains(node.inputs[2].node)) {
        out = {Normalized(node, operands, *variables.at(node.inputs[1].node), *variables.at(node.inputs[2].node))};
      } else {
        out = eager::Apply(*node.op, operands, symbols.Resolve(node.attrs));
      }
      for (std::size_t k = 0; k < out.size() && k < node.outputs.size(); ++k) {
        if (node.outputs[k].type.is_tensor() && out[k].defined() && node.outputs[k].type.has_rank() &&
            !node.outputs[k].type.is_static())
          symbols.Bind(node.outputs[k].type, out[k].shape());
        values[{id, static_cast<std::int32_t>(k)}] = std::move(out[k]);
      }
    }
    std::vector<Tensor> results;
    for (std::size_t i = 0; i < f.num_outputs(); ++i) results.push_back(values.at(f.output(i)));
    return results;
  }

 private:
  Tensor Normalized(const ir::Node& node, const std::vector<Tensor>& x, const Variable& mean,
                    const Variable& variance) const {
    const Tensor gamma = x.size() > 3 ? x[3] : Tensor(), beta = x.size() > 4 ? x[4] : Tensor();
    const std::vector<Tensor> out = eager::Apply("batch_norm_training", {x[0], gamma, beta}, node.attrs);
    // n / (n - 1), n the elements of a channel in the batch.
    std::vector<std::int64_t> axes;
    const int rank = x[0].shape().rank();
    const std::int64_t axis = node.attrs.Int("axis") < 0 ? node.attrs.Int("axis") + rank : node.attrs.Int("axis");
    for (int i = 0; i < rank; ++i)
      if (i != axis) axes.push_back(i);
    const Tensor n =
        eager::ApplyOne("reduce_sum", {eager::ApplyOne("ones_like", {x[0]})}, {{"axes", axes}, {"keep_dims", false}});
    const Tensor unbiased = out[2] * n / eager::ApplyOne("maximum", {n - 1, eager::ApplyOne("ones_like", {n})});
    mean.assign(mean * o_.momentum + out[1] * (1 - o_.momentum));
    variance.assign(variance * o_.momentum + unbiased * (1 - o_.momentum));
    return out[0];
  }

  Module module_;
  ModuleLayerOptions o_;
  const ir::Function* function_ = nullptr;
  std::vector<Variable> reads_;
};

}  // namespace

ModuleLayer::ModuleLayer(const Module& module, ModuleLayerOptions options)
    : Layer(Named(std::make_shared<ModuleLayerImpl>(module, options), options.name)) {}

}  // namespace tenon::keras::layers
