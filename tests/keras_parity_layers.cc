// Layers and ten-step trainings against the numbers of Keras.
#include "keras_parity_table.h"
#include "tenon/function.h"

namespace tenon::parity {

using nlohmann::json;
namespace layers = keras::layers;

namespace {

layers::Size2 PairOf(const json& v) { return layers::Size2(v[0].get<std::int64_t>(), v[1].get<std::int64_t>()); }

std::optional<keras::Layer> MakeNormalizing(const std::string& cls, const json& c, std::string& why) {
  const bool list = c.contains("axis") && c["axis"].is_array();
  if (list && c["axis"].size() != 1) {
    why = cls + " with axis " + c["axis"].dump();
    return std::nullopt;
  }
  const int axis = !c.contains("axis") ? -1 : list ? c["axis"][0].get<int>() : c["axis"].get<int>();
  if (cls == "Softmax") return layers::Softmax({.axis = axis});
  if (cls == "BatchNormalization")
    return layers::BatchNormalization(
        {.axis = axis, .momentum = c["momentum"], .epsilon = c["epsilon"], .center = c["center"], .scale = c["scale"]});
  if (cls == "LayerNormalization") {
    if (axis != -1) {
      why = cls + " with axis " + std::to_string(axis);
      return std::nullopt;
    }
    return layers::LayerNormalization({.epsilon = c["epsilon"], .center = c["center"], .scale = c["scale"]});
  }
  return layers::Normalization({.axis = axis,
                                .mean = c["mean"].get<std::vector<double>>(),
                                .variance = c["variance"].get<std::vector<double>>(),
                                .invert = c["invert"]});
}

std::optional<keras::Layer> MakeImageLayer(const std::string& cls, const json& c) {
  if (cls == "Conv2D")
    return layers::Conv2D(c["filters"], PairOf(c["kernel_size"]),
                          {.strides = PairOf(c["strides"]),
                           .padding = c["padding"],
                           .data_format = c["data_format"],
                           .dilation_rate = PairOf(c["dilation_rate"]),
                           .groups = c["groups"],
                           .activation = c["activation"].get<std::string>(),
                           .use_bias = c["use_bias"]});
  if (cls == "MaxPooling2D")
    return layers::MaxPooling2D({.pool_size = PairOf(c["pool_size"]),
                                 .strides = PairOf(c["strides"]),
                                 .padding = c["padding"],
                                 .data_format = c["data_format"]});
  if (cls == "AveragePooling2D")
    return layers::AveragePooling2D(
        PairOf(c["pool_size"]),
        {.strides = PairOf(c["strides"]), .padding = c["padding"], .data_format = c["data_format"]});
  if (cls == "GlobalAveragePooling2D")
    return layers::GlobalAveragePooling2D({.data_format = c["data_format"], .keepdims = c["keepdims"]});
  return std::nullopt;
}

}  // namespace

std::optional<keras::Layer> MakeLayer(const json& saved, std::string& why) {
  const std::string cls = saved["class_name"];
  const json& c = saved["config"];
  for (const char* option : {"kernel_regularizer", "kernel_constraint", "mask_zero"})
    if (c.contains(option) && !c[option].is_null() && c[option] != false && cls != "Embedding") {
      why = cls + " with " + option;
      return std::nullopt;
    }
  if (cls == "Dense")
    return layers::Dense(c["units"],
                         {.activation = c["activation"].get<std::string>(), .use_bias = c["use_bias"].get<bool>()});
  if (cls == "Embedding") return layers::Embedding(c["input_dim"], c["output_dim"]);  // the mask is not an output
  if (cls == "Activation") {
    try {
      return layers::Activation(c["activation"].get<std::string>());
    } catch (const Error& e) {
      if (e.status().code() != Code::kNotFound) throw;
      why = "Activation " + c["activation"].get<std::string>();
      return std::nullopt;
    }
  }
  if (cls == "ReLU")
    return layers::ReLU(
        {.max_value = MaybeNumber(c, "max_value"), .negative_slope = c["negative_slope"], .threshold = c["threshold"]});
  if (cls == "LeakyReLU") return layers::ReLU({.negative_slope = c["negative_slope"]});
  if (cls == "Add") return layers::Add();
  if (cls == "Multiply") return layers::Multiply();
  if (cls == "Concatenate") return layers::Concatenate({.axis = c["axis"]});
  if (cls == "Flatten") return layers::Flatten();
  if (cls == "Dropout") return layers::Dropout(c["rate"]);
  if (cls == "Reshape") return layers::Reshape(c["target_shape"].get<std::vector<std::int64_t>>());
  if (cls == "Rescaling" && c["scale"].is_number()) return layers::Rescaling(c["scale"], {.offset = c["offset"]});
  if (cls == "Softmax" || cls == "BatchNormalization" || cls == "LayerNormalization" || cls == "Normalization")
    return MakeNormalizing(cls, c, why);
  std::optional<keras::Layer> image = MakeImageLayer(cls, c);
  if (!image) why = cls == "Rescaling" ? "Rescaling by a list" : cls;
  return image;
}

namespace {

TEST(KerasParity, Layers) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/keras_parity");
  Table table(folder, "layers");
  for (const json& c : table.cases()) {
    const std::string id = c["id"];
    std::string why;
    const std::optional<keras::Layer> layer = MakeLayer(c["config"], why);
    if (layer && c["call"].contains("mask")) why = c["class"].get<std::string>() + " with a mask";
    if (!why.empty() || !layer) {
      table.LeaveOut(why);
      continue;
    }
    table.Run(id, [&] {
      std::vector<Tensor> inputs;
      std::vector<Shape> shapes;
      while (table.has(id, "in" + std::to_string(inputs.size()))) {
        inputs.push_back(table.get(id, "in" + std::to_string(inputs.size())));
        shapes.push_back(inputs.back().shape());
      }
      layer->impl()->ensure_built(shapes);
      const std::vector<Variable> weights = layer->variables();
      // What Keras does not keep as weights here: the given statistics of Normalization, the seed of Dropout.
      const std::size_t n = c["weights"].size();
      const bool stateless = c["class"] == "Normalization" || c["class"] == "Dropout";
      if (!stateless) {
        ASSERT_EQ(weights.size(), n);
        for (std::size_t i = 0; i < n; ++i) {
          EXPECT_EQ(weights[i].trainable(), c["weights"][i]["trainable"].get<bool>()) << weights[i].path();
          weights[i].assign(table.get(id, "w" + std::to_string(i)));
        }
      }
      const std::optional<bool> training =
          c["call"].contains("training") ? std::optional<bool>(c["call"]["training"].get<bool>()) : std::nullopt;
      GradientTape tape({.persistent = true});
      for (const Tensor& x : inputs)
        if (is_float(x.dtype())) tape.watch(x);
      const Tensor y = layer->call_all(inputs, {.training = training}).at(0);
      table.ExpectClose(y, id, "out0", 2e-6);
      const Tensor total = reduce_sum(y * table.get(id, "cot0"));
      for (std::size_t i = 0; i < inputs.size(); ++i)
        if (const std::string key = "grad_in" + std::to_string(i); table.has(id, key))
          table.ExpectClose(tape.gradient(total, inputs[i]), id, key, 4e-6);
      for (std::size_t i = 0; i < n && !stateless; ++i) {
        const std::string k = std::to_string(i);
        if (table.has(id, "grad_w" + k)) table.ExpectClose(tape.gradient(total, weights[i]), id, "grad_w" + k, 4e-6);
        table.ExpectClose(weights[i].value(), id, (table.has(id, "after_w" + k) ? "after_w" : "w") + k, 2e-6);
      }
    });
  }
  table.Finish();
}

// Row i of a [steps, …] array.
Tensor Step(const Tensor& all, std::int64_t i) {
  const Literal& from = all.literal();
  std::vector<std::int64_t> dims = from.shape().values();
  const std::size_t bytes = from.raw().size() / static_cast<std::size_t>(dims[0]);
  dims.erase(dims.begin());
  Literal out(from.dtype(), dims);
  std::copy_n(from.raw().begin() + static_cast<std::ptrdiff_t>(bytes) * i, bytes, out.mutable_raw().begin());
  return Tensor(std::move(out));
}

TEST(KerasParity, Trainings) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/keras_parity");
  Table table(folder, "trajectories");
  for (const json& c : table.cases()) {
    const std::string id = c["id"];
    std::string why;
    keras::Sequential model;
    for (const json& saved : c["config"]["config"]["layers"]) {
      if (saved["class_name"] == "InputLayer") {
        const json& batch_shape = saved["config"]["batch_shape"];
        std::vector<std::int64_t> dims;
        for (std::size_t i = 1; i < batch_shape.size(); ++i) dims.push_back(batch_shape[i].get<std::int64_t>());
        model.add(keras::Input(Shape(std::span<const std::int64_t>(dims))));
        continue;
      }
      const std::optional<keras::Layer> layer = MakeLayer(saved, why);
      if (!layer) break;
      model.add(*layer);
    }
    const json& setup = c["compile"];
    const std::optional<keras::Optimizer> optimizer =
        why.empty() ? MakeOptimizer(setup["optimizer"]["class_name"], setup["optimizer"]["config"], why) : std::nullopt;
    if (!optimizer) {
      table.LeaveOut(why + " (in " + id + ")");
      continue;
    }
    table.Run(id, [&] {
      keras::LossArg loss;
      if (setup["loss"].is_string())
        loss = setup["loss"].get<std::string>();
      else
        loss = keras::SparseCategoricalCrossentropy({.from_logits = setup["loss"]["config"]["from_logits"]});
      const std::string metric = setup["metrics"][0];
      model.compile({.optimizer = *optimizer, .loss = loss, .metrics = {metric}});
      const Tensor x = table.get(id, "x"), y = table.get(id, "y");
      (void)model(Step(x, 0));  // builds it
      const std::vector<Variable> weights = model.variables();
      ASSERT_EQ(weights.size(), c["weights"].size());
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i].assign(table.get(id, "start" + std::to_string(i)));
      // The bias ahead of batch normalization (weight 1) has no true gradient: what its slots hold is rounding noise,
      // which Adam turns into steps of that bias and so of the moving mean (weight 4).
      const bool noise = id.starts_with("batch_norm."), adam = id == "batch_norm.Adam";
      const double tolerance = adam ? 3e-4 : 5e-6;
      std::vector<float> losses, metrics;
      for (std::int64_t i = 0; i < 10; ++i) {
        const keras::Logs logs = model.train_on_batch(Step(x, i), Step(y, i));
        losses.push_back(static_cast<float>(logs.at("loss")));
        metrics.push_back(static_cast<float>(logs.at(metric)));
      }
      table.ExpectClose(Tensor(Literal::from<float>({10}, losses)), id, "loss", tolerance);
      table.ExpectClose(Tensor(Literal::from<float>({10}, metrics)), id, "metric", tolerance);
      for (std::size_t i = 0; i < weights.size(); ++i)
        table.ExpectClose(weights[i].value(), id, "end" + std::to_string(i),
                          adam && (i == 1 || i == 4) ? 1e-2 : tolerance);
      const std::vector<Variable> slots = optimizer->variables();
      ASSERT_FALSE(table.has(id, "slot" + std::to_string(slots.size())));
      for (std::size_t i = 0; i < slots.size(); ++i) {
        const bool of_bias = noise && (adam ? i == 4 || i == 5 : i == 3);
        table.ExpectClose(slots[i].value(), id, "slot" + std::to_string(i), tolerance, {.floor = of_bias ? 1e-2 : 0.0});
      }
      const keras::Evaluation e = model.evaluate(Step(x, 0), Step(y, 0), {.verbose = 0});
      const std::vector<float> evaluated = {static_cast<float>(e.loss), static_cast<float>(e[metric])};
      table.ExpectClose(Tensor(Literal::from<float>({2}, evaluated)), id, "evaluated", tolerance);
      table.ExpectClose(model.predict(Step(x, 0)), id, "prediction", tolerance);
    });
  }
  table.Finish();
}

}  // namespace
}  // namespace tenon::parity
