// Optimizers, activations and initializers against the numbers of Keras.
#include "keras_parity_table.h"
#include "tenon/function.h"

namespace tenon::parity {

using nlohmann::json;

namespace {

// A constant, or ExponentialDecay: initial * decay_rate ^ (step / decay_steps).
std::optional<keras::Schedule> MakeSchedule(const json& rate) {
  if (rate.is_number()) return keras::Schedule(rate.get<double>());
  const json& c = rate["config"];
  if (rate["class_name"] != "ExponentialDecay" || c["staircase"].get<bool>()) return std::nullopt;
  const double initial = c["initial_learning_rate"], base = c["decay_rate"], steps = c["decay_steps"];
  return keras::Schedule(
      [=](const Tensor& step) { return exp(cast(step, DType::kF32) * (std::log(base) / steps)) * initial; });
}

}  // namespace

std::optional<keras::Optimizer> MakeOptimizer(const std::string& cls, const json& c, std::string& why) {
  for (const char* option : {"use_ema", "gradient_accumulation_steps", "loss_scale_factor"})
    if (c.contains(option) && !c[option].is_null() && c[option] != false) {
      why = cls + " with " + option;
      return std::nullopt;
    }
  const std::optional<keras::Schedule> rate = MakeSchedule(c["learning_rate"]);
  if (!rate) {
    why = cls + " with a schedule";
    return std::nullopt;
  }
  const keras::CommonOptimizerOptions common{.weight_decay = MaybeNumber(c, "weight_decay"),
                                             .clipnorm = MaybeNumber(c, "clipnorm"),
                                             .clipvalue = MaybeNumber(c, "clipvalue"),
                                             .global_clipnorm = MaybeNumber(c, "global_clipnorm")};
  if (cls == "SGD")
    return keras::SGD({.learning_rate = *rate, .momentum = c["momentum"], .nesterov = c["nesterov"], .common = common});
  if (cls == "Adam")
    return keras::Adam({.learning_rate = *rate,
                        .beta_1 = c["beta_1"],
                        .beta_2 = c["beta_2"],
                        .epsilon = c["epsilon"],
                        .amsgrad = c["amsgrad"],
                        .common = common});
  if (cls == "AdamW") {
    keras::CommonOptimizerOptions rest = common;
    rest.weight_decay = std::nullopt;
    return keras::AdamW({.learning_rate = *rate,
                         .weight_decay = c["weight_decay"],
                         .beta_1 = c["beta_1"],
                         .beta_2 = c["beta_2"],
                         .epsilon = c["epsilon"],
                         .amsgrad = c["amsgrad"],
                         .common = rest});
  }
  if (cls == "RMSprop")
    return keras::RMSprop({.learning_rate = *rate,
                           .rho = c["rho"],
                           .momentum = c["momentum"],
                           .epsilon = c["epsilon"],
                           .centered = c["centered"],
                           .common = common});
  why = cls;
  return std::nullopt;
}

namespace {

TEST(KerasParity, Optimizers) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/keras_parity");
  Table table(folder, "optimizers");
  for (const json& c : table.cases()) {
    const std::string id = c["id"];
    std::string why;
    const std::optional<keras::Optimizer> optimizer = MakeOptimizer(c["class"], c["config"], why);
    if (!optimizer) {
      table.LeaveOut(why);
      continue;
    }
    table.Run(id, [&] {
      std::vector<Variable> variables;
      for (int i = 0; i < 3; ++i) variables.emplace_back(table.get(id, "start" + std::to_string(i)));
      for (int step = 0; step < 5; ++step) {
        const std::string n = std::to_string(step) + ".";
        std::vector<Tensor> gradients;
        for (int i = 0; i < 3; ++i) gradients.push_back(table.get(id, "grad" + n + std::to_string(i)));
        optimizer->apply(gradients, variables);
        for (std::size_t i = 0; i < 3; ++i)
          table.ExpectClose(variables[i].value(), id, "after" + n + std::to_string(i), 2e-6);
      }
      const std::vector<Variable> slots = optimizer->variables();
      ASSERT_EQ(slots.size(), c["slots"].size());
      for (std::size_t i = 0; i < slots.size(); ++i)
        table.ExpectClose(slots[i].value(), id, "slot" + std::to_string(i), 2e-6);
    });
  }
  table.Finish();
}

TEST(KerasParity, Activations) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/keras_parity");
  Table table(folder, "activations");
  for (const json& c : table.cases()) {
    const std::string id = c["id"], name = c["name"];
    const json& options = c["options"];
    std::optional<keras::Layer> layer;
    try {
      if (options.empty()) {
        layer = keras::layers::Activation(name);
      } else if (name == "relu") {
        layer = keras::layers::ReLU({.max_value = MaybeNumber(options, "max_value"),
                                     .negative_slope = options["negative_slope"],
                                     .threshold = options["threshold"]});
      } else if (name == "softmax") {
        layer = keras::layers::Softmax({.axis = options["axis"]});
      } else if (name == "leaky_relu") {
        layer = keras::layers::ReLU({.negative_slope = options["negative_slope"]});
      }
    } catch (const Error& e) {
      if (e.status().code() != Code::kNotFound) throw;
    }
    if (!layer) {
      table.LeaveOut(options.empty() ? name : name + " with " + options.dump());
      continue;
    }
    table.Run(id, [&] {
      const Tensor x = table.get(id, "x");
      GradientTape tape;
      tape.watch(x);
      const Tensor y = (*layer)(x);
      table.ExpectClose(y, id, "y", 2e-6);
      const Tensor total = reduce_sum(y * table.get(id, "cotangent"));
      // At 0 celu and selu have the slope of the left or of the right side, as Keras's backends choose; the recorded
      // backend adds both up for celu.
      const bool either = name == "celu" || name == "selu";
      table.ExpectClose(tape.gradient(total, x), id, "grad", 2e-6, {.apart = either ? x : Tensor()});
    });
  }
  table.Finish();
}

struct Moments {
  double mean = 0, std = 0, low = INFINITY, high = -INFINITY;
};
// Of about 200,000 draws.
Moments Measure(const std::function<Literal(std::uint64_t)>& draw) {
  Moments m;
  double sum = 0, square = 0, n = 0;
  for (std::uint64_t seed = 0; n < 200000 && seed < 3000; ++seed) {
    const Literal values = draw(seed);
    for (const float v : values.data<float>()) {
      const auto x = static_cast<double>(v);
      sum += x;
      square += x * x;
      m.low = std::min(m.low, x);
      m.high = std::max(m.high, x);
    }
    n += static_cast<double>(values.size());
  }
  m.mean = sum / n;
  m.std = std::sqrt(square / n - m.mean * m.mean);
  return m;
}

std::optional<keras::Initializer> MakeInitializer(const std::string& cls, const json& o, std::uint64_t seed) {
  if (cls == "GlorotUniform") return keras::GlorotUniform({.seed = seed});
  if (cls == "GlorotNormal") return keras::GlorotNormal({.seed = seed});
  if (cls == "HeUniform") return keras::HeUniform({.seed = seed});
  if (cls == "HeNormal") return keras::HeNormal({.seed = seed});
  if (cls == "LecunUniform") return keras::LecunUniform({.seed = seed});
  if (cls == "LecunNormal") return keras::LecunNormal({.seed = seed});
  if (cls == "VarianceScaling")
    return keras::VarianceScaling(
        {.scale = o["scale"], .mode = o["mode"], .distribution = o["distribution"], .seed = seed});
  if (cls == "RandomNormal") return keras::RandomNormal({.mean = o["mean"], .stddev = o["stddev"], .seed = seed});
  if (cls == "TruncatedNormal") return keras::TruncatedNormal({.mean = o["mean"], .stddev = o["stddev"], .seed = seed});
  if (cls == "RandomUniform") return keras::RandomUniform({.minval = o["minval"], .maxval = o["maxval"], .seed = seed});
  if (cls == "Orthogonal") return keras::Orthogonal(o["gain"], {.seed = seed});
  return std::nullopt;
}

// Columns (rows >= columns here) are orthogonal, each of norm gain.
void ExpectOrthogonal(const Literal& value, double gain) {
  const std::int64_t rows = value.shape()[0].value(), columns = value.shape()[1].value();
  for (std::int64_t a = 0; a < columns; ++a)
    for (std::int64_t b = 0; b < columns; ++b) {
      double dot = 0;
      for (std::int64_t r = 0; r < rows; ++r) dot += value.at(r * columns + a) * value.at(r * columns + b);
      EXPECT_NEAR(dot, a == b ? gain * gain : 0, 1e-6) << a << ", " << b;
    }
}

TEST(KerasParity, Initializers) {
  TENON_TEST_DATA_OR_SKIP(folder, "fixtures/keras_parity");
  Table table(folder, "initializers");
  for (const json& c : table.cases()) {
    const std::string id = c["id"], cls = c["class"];
    const json& options = c["options"];
    const std::vector<std::int64_t> dims = c["shape"];
    const Shape shape{std::span<const std::int64_t>(dims)};
    if (cls == "Identity") {
      table.Run(id, [&] { table.ExpectClose(Tensor(keras::Identity(options["gain"])(shape)), id, "value", 0); });
      continue;
    }
    if (!MakeInitializer(cls, options, 0)) {
      table.LeaveOut(cls);
      continue;
    }
    table.Run(id, [&] {
      if (cls == "Orthogonal") {
        ExpectOrthogonal((*MakeInitializer(cls, options, 1))(shape), options["gain"]);
        return;
      }
      const Moments m = Measure([&](std::uint64_t seed) { return (*MakeInitializer(cls, options, seed))(shape); });
      const double std = c.contains("std") ? c["std"].get<double>() : c["measured_std"].get<double>();
      EXPECT_NEAR(m.std, std, 0.015 * std);
      EXPECT_NEAR(m.mean, Option(c, "measured_mean", 0.0), 0.015 * std);
      if (const std::optional<double> limit = MaybeNumber(c, "limit")) {
        EXPECT_LE(std::max(-m.low, m.high), *limit * 1.000001);
        EXPECT_GE(std::min(-m.low, m.high), *limit * 0.98);  // and it is reached
      }
      if (cls == "RandomUniform" || cls == "TruncatedNormal") {
        EXPECT_NEAR(m.low, c["measured_min"].get<double>(), 0.005 * std);
        EXPECT_NEAR(m.high, c["measured_max"].get<double>(), 0.005 * std);
      }
    });
  }
  table.Finish();
}

}  // namespace
}  // namespace tenon::parity
