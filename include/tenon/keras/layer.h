// Layer and LayerImpl: what every Keras layer is, and what users derive from.
#pragma once
#include <span>
#include <typeinfo>

#include "tenon/keras/base.h"

namespace tenon::keras {

struct WeightOptions {
  NameOr<Initializer> initializer = "glorot_uniform";
  bool trainable = true;
  DType dtype = DType::kF32;
};
struct CallArgs {
  std::optional<bool> training = {};  // absent: that of the caller, else false
  Tensor mask = {};
};

struct Layer;

/// What users derive from: one input and output (build, call), or several (…_all). build runs once, before the first
/// call, with the dims of the inputs (the batch symbolic). Weights come from add_weight, sub-layers from add_layer:
/// both are saved and trained. Not thread-safe while it builds.
class TENON_API LayerImpl : public Impl {
 public:
  using Base = Layer;
  virtual void build(const Shape& input);
  virtual void build_all(std::span<const Shape> inputs);
  virtual Tensor call(const Tensor& x, const CallArgs& args);
  virtual std::vector<Tensor> call_all(std::span<const Tensor> inputs, const CallArgs& args);
  virtual Config get_config() const { return {}; }
  /// "Dense": the class as Keras spells it; also the stem of the automatic name. A registered class gives its name.
  virtual std::string class_name() const;

  const std::string& name() const;  // "dense_1": given, or automatic on first use
  void set_name(std::string name) { name_ = std::move(name); }
  bool built() const { return built_; }
  bool trainable() const { return trainable_; }
  virtual void set_trainable(bool trainable);
  /// Own weights, then those of sub-layers, each once; in the order of creation.
  std::vector<Variable> variables() const;
  std::vector<Variable> trainable_variables() const;
  std::vector<Variable> non_trainable_variables() const;
  virtual std::vector<std::shared_ptr<LayerImpl>> sublayers() const { return layers_; }
  /// Builds now, as the first call would. Throws when it cannot.
  void ensure_built(std::span<const Shape> inputs);

 protected:
  Variable add_weight(const std::string& name, const Shape& shape, WeightOptions options = {});
  /// A weight that holds random state or counters: saved, never trained.
  Variable add_state(const std::string& name, const Literal& initial);
  /// A weight that exists already, trainable as it is; gives it back.
  Variable share_weight(Variable weight);
  template <class L>
  L add_layer(const std::string& name, L layer) {
    adopt(name, layer.impl());
    return layer;
  }
  void adopt(const std::string& name, std::shared_ptr<LayerImpl> layer);

 private:
  friend struct Layer;
  bool built_ = false, trainable_ = true;
  mutable std::string name_;
  std::vector<Variable> weights_;
  std::vector<Variable> frozen_;  // never trained: statistics, random states
  std::vector<std::shared_ptr<LayerImpl>> layers_;
  void collect(std::vector<Variable>& out) const;
};

/// A handle on a layer.
struct TENON_API Layer : Shared<LayerImpl> {
  using Shared::Shared;
  /// Calls it, building it first when needed. Throws unless it has one output.
  Tensor operator()(const Tensor& x, const CallArgs& args = {}) const;
  Tensor operator()(std::initializer_list<Tensor> xs, const CallArgs& args = {}) const;
  std::vector<Tensor> call_all(std::initializer_list<Tensor> xs, const CallArgs& args = {}) const {
    return call_all(std::span(xs.begin(), xs.size()), args);
  }
  std::vector<Tensor> call_all(std::span<const Tensor> xs, const CallArgs& args = {}) const;
  const std::string& name() const { return impl()->name(); }
  void set_trainable(bool trainable) const { impl()->set_trainable(trainable); }
  bool trainable() const { return impl()->trainable(); }
  std::vector<Variable> variables() const { return impl()->variables(); }
  std::vector<Variable> trainable_variables() const { return impl()->trainable_variables(); }
  std::vector<Variable> non_trainable_variables() const { return impl()->non_trainable_variables(); }
  /// Values in the order of variables().
  std::vector<Tensor> get_weights() const;
  void set_weights(const std::vector<Tensor>& weights) const;  // throws kInvalidArgument on another count or shape
  std::int64_t count_params() const;
};

struct Registration {};
/// Lets load() make an L from its saved config, and gives the class its name.
TENON_API void register_layer_factory(const std::string& name, std::string type_id,
                                      std::function<Layer(const Config&)> factory);
template <class L>
  requires requires(const Config& c) {
    { L::from_config(c) } -> std::convertible_to<Layer>;
  }
Registration register_layer(const std::string& name) {
  register_layer_factory(name, typeid(L).name(), [](const Config& c) -> Layer { return L::from_config(c); });
  return {};
}

struct InputOptions {
  std::optional<std::int64_t> batch_size = {};
  DType dtype = DType::kF32;
  std::string name = {};
};
/// A symbolic Tensor of [batch] + shape; Dim::any() where a dim varies.
TENON_API Tensor Input(const Shape& shape, InputOptions options = {});

}  // namespace tenon::keras
