// A functional model with several inputs and outputs, shared blocks and a frozen layer.
#include <tenon/keras.h>

#include <iostream>
using namespace tenon;
namespace layers = tenon::keras::layers;

int main() {
  Tensor image = keras::Input({16, 16, 3}, {.name = "image"});
  Tensor meta = keras::Input({8}, {.name = "meta"});
  auto block = [](Tensor x, int filters) {
    x = layers::Conv2D(filters, 3, {.padding = "same", .use_bias = false})(x);
    x = layers::BatchNormalization()(x);
    return relu(x);  // functions of ops.h work on symbolic tensors
  };
  Tensor x = layers::GlobalAveragePooling2D()(block(block(image, 8), 16));
  Tensor y = layers::Concatenate()({x, layers::Dense(16, {.activation = "gelu"})(meta)});
  Tensor label = layers::Dense(10, {.name = "label"})(y);
  Tensor score = layers::Dense(1, {.activation = "sigmoid", .name = "score"})(y);
  keras::Model model({.inputs = {image, meta}, .outputs = {label, score}});
  model.get_layer("label").set_trainable(false);
  model.compile({.optimizer = "adam",
                 .loss = {{"label", keras::SparseCategoricalCrossentropy({.from_logits = true})}, {"score", "mse"}},
                 .loss_weights = {{"label", 1.0}, {"score", 0.3}},
                 .metrics = {{"label", {"accuracy"}}}});
  model.summary();
  const Tensor images = random::uniform({64, 16, 16, 3}, {.seed = 1}), metas = random::normal({64, 8}, {.seed = 2});
  const Tensor labels = zeros({64}, DType::kI64), scores = full({64, 1}, 0.5);
  const keras::History history = model.fit({{"image", images}, {"meta", metas}}, {{"label", labels}, {"score", scores}},
                                           {.batch_size = 16, .epochs = 2});
  std::cout << "score_loss " << history["score_loss"].front() << " -> " << history["score_loss"].back() << '\n';
  return history["loss"].back() < history["loss"].front() ? 0 : 1;
}
