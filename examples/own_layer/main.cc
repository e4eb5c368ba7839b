// A layer of one's own, an op of one's own: both train, and their gradients follow.
#include <tenon/keras.h>

#include <iostream>
using namespace tenon;

class Scale : public keras::LayerImpl {  // saving and gradients follow
 public:
  explicit Scale(double init = 1.0) : init_(init) {}
  void build(const Shape& input) override {
    w_ = add_weight("scale", {input.back()}, {.initializer = keras::Constant(init_)});
  }
  Tensor call(const Tensor& x, const keras::CallArgs&) override {
    return x * w_;
  }  // several tensors in or out: override call_all
  keras::Config get_config() const override { return {{"init", init_}}; }
  static keras::Layer from_config(const keras::Config& c) { return keras::make<Scale>(c.number("init")); }

 private:
  double init_;
  Variable w_;
};
const auto registered = keras::register_layer<Scale>("Scale");
Tensor my_mish(const Tensor& x) {
  return x * tanh(softplus(x));
}  // an op of one's own is a function; its gradient follows

int main() {
  auto s = keras::make<Scale>(0.5);
  if (my_mish(s(zeros({2, 3}))).shape() != Shape{2, 3}) return 1;

  keras::Sequential model({keras::Input({3}), keras::make<Scale>(0.5), keras::layers::Dense(1)});
  model.compile({.optimizer = keras::SGD({.learning_rate = 0.1}), .loss = "mse"});
  const Tensor x = random::normal({256, 3}, {.seed = 1});
  const Tensor y = reduce_sum(x * 2, {.axes = {-1}, .keep_dims = true});
  const keras::History history = model.fit(x, y, {.batch_size = 32, .epochs = 20, .verbose = 0});
  std::cout << "loss " << history["loss"].front() << " -> " << history["loss"].back() << '\n';

  Variable w(ones({3}), {.name = "w"});
  GradientTape tape;
  const Tensor loss = reduce_sum(my_mish(w * 2));
  std::cout << "d loss / d w = " << tape.gradient(loss, w) << '\n';
  return history["loss"].back() < 1e-3 ? 0 : 1;
}
