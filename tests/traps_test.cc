// What is easily written wrongly against the public interface, or easily declared so that it compiles wrongly: handles,
// lifetimes, overloads, names or objects. tests/traps.py holds what must not compile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "tenon/compile.h"
#include "tenon/formats.h"
#include "tenon/keras.h"
#include "tenon/serve.h"
#include "tenon/verify.h"

namespace traps {

using namespace tenon;  // as a user writes it
namespace layers = tenon::keras::layers;

// The error that f throws, which also must have a text.
template <class F>
std::optional<Code> Thrown(F f) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.what(), e.status().message());
    EXPECT_FALSE(e.status().message().empty());
    return e.status().code();
  }
  return std::nullopt;
}

class Scale : public keras::LayerImpl {
 public:
  explicit Scale(double init = 1.0) : init_(init) { ++alive; }
  ~Scale() override { --alive; }
  void build(const Shape& input) override {
    ++builds;
    w_ = add_weight("scale", {input.back()}, {.initializer = keras::Constant(init_)});
  }
  Tensor call(const Tensor& x, const keras::CallArgs&) override { return x * w_; }
  keras::Config get_config() const override { return {{"init", init_}, {"label", "a"}, {"exact", true}, {"size", 3}}; }
  static keras::Layer from_config(const keras::Config& c) { return keras::make<Scale>(c.number("init")); }
  int builds = 0;
  static inline int alive = 0;

 private:
  double init_;
  Variable w_;
};
class Swap : public keras::LayerImpl {  // several inputs, several outputs
 public:
  std::vector<Tensor> call_all(std::span<const Tensor> x, const keras::CallArgs&) override { return {x[1], x[0]}; }
};
class Net : public keras::ModelImpl {  // a model of one's own
 public:
  Tensor call(const Tensor& x, const keras::CallArgs& args) override { return out_(hidden_(x), args); }

 private:
  layers::Dense hidden_ = add_layer("hidden", layers::Dense(8, {.activation = "relu"}));
  layers::Dense out_ = add_layer("out", layers::Dense(1));
};
struct Count : keras::CallbackImpl {
  int epochs = 0;
  void on_epoch_end(int, const keras::Logs& logs) override { epochs += logs.contains("loss") ? 1 : 0; }
};
struct State {
  Tensor h = {};
  std::vector<Tensor> stack = {};
};

// Conversions that would hide an error.
static_assert(!std::is_convertible_v<double, Tensor> && std::is_constructible_v<Tensor, double>);
static_assert(!std::is_convertible_v<Tensor, bool> && !std::is_convertible_v<Tensor, double>);
static_assert(!std::is_assignable_v<Variable&, Tensor>);  // assign() is a word
static_assert(!std::is_convertible_v<Dim, std::int64_t> && !std::is_convertible_v<Dim, int>);
static_assert(!std::is_default_constructible_v<keras::Layer> && !std::is_copy_constructible_v<Scale>);
template <class T>
concept GivesData = requires(T&& t) { std::forward<T>(t).template data<float>(); };
static_assert(GivesData<Tensor&> && !GivesData<Tensor> && !GivesData<Literal>);  // of a temporary it would dangle
template <class O>
concept TwoNames = requires { O{.loss = {"a", "bc"}}; } || requires { O{.optimizer = {"a", "bc"}}; };
static_assert(!TwoNames<keras::CompileOptions>);  // std::string("a", "bc") would compile and abort

TEST(Traps, AHandleIsTheObject) {
  auto s = keras::make<Scale>(0.5);
  keras::Sequential model({keras::Input({4}), s, s, layers::Dense(2)});
  EXPECT_TRUE(model.layers()[0] == model.layers()[1] && model.layers()[0] == s);
  EXPECT_TRUE(model.layers()[2] != s);
  (void)model(zeros({1, 4}));
  EXPECT_EQ(s->builds, 1);
  EXPECT_EQ(s.trainable_variables().size(), 1U);
  EXPECT_EQ(model.trainable_variables().size(), 3U);  // the shared one counts once
}

TEST(Traps, MovedFrom) {
  auto s = keras::make<Scale>(0.5);
  keras::Handle kept = s;  // the class follows
  keras::Layer moved = std::move(kept);
  EXPECT_TRUE(kept == moved);                  // NOLINT(bugprone-use-after-move): what is tested
  EXPECT_TRUE(kept(zeros({1, 4})).defined());  // NOLINT(bugprone-use-after-move): what is tested
  EXPECT_EQ(kept->builds, 1);
  Tensor a = zeros({1}), b = std::move(a);
  // NOLINTNEXTLINE(bugprone-use-after-move): what is tested
  EXPECT_EQ(Thrown([&] { (void)a.shape(); }), Code::kInvalidArgument);
  EXPECT_TRUE(b.defined());
  EXPECT_TRUE(Thrown([] { (void)(2 * Variable()); }).has_value());
}

TEST(Traps, SequentialNests) {
  keras::Sequential model({keras::Input({4}), layers::Dense(2)});
  keras::Sequential one({layers::Dense(1)}), nested({model}), both({model, model}), mixed({model, layers::Dense(1)});
  EXPECT_EQ(one.layers().size(), 1U);
  EXPECT_EQ(nested.layers().size(), 1U);
  EXPECT_EQ(both.layers().size(), 2U);
  EXPECT_EQ(mixed.layers().size(), 2U);
  const auto s = keras::make<Scale>();
  std::vector<keras::Layer> list = {s, layers::Dense(1), model};
  EXPECT_TRUE(list[0] == s && list[2] == model);  // several classes in one vector are not cut
}

TEST(Traps, AModelKeepsItsLayersAndNothingKeepsItself) {
  const int before = Scale::alive;
  {
    std::optional<keras::Model> model;
    {
      Tensor in = keras::Input({4});
      Tensor out = keras::make<Scale>(0.5)(in);
      model = keras::Model({.inputs = {in}, .outputs = {out}});
    }
    EXPECT_EQ(Scale::alive, before + 1);
    EXPECT_EQ(reduce_sum((*model)(ones({2, 4}))).item(), 4);
  }
  EXPECT_EQ(Scale::alive, before);
  {
    keras::Sequential trained({keras::Input({4}), keras::make<Scale>(0.5), layers::Dense(1)});
    trained.compile({.loss = "mse"});
    (void)trained.fit(zeros({8, 4}), zeros({8, 1}), {.verbose = 0});
  }
  EXPECT_EQ(Scale::alive, before);
}

TEST(Traps, FitTakesDataInManyForms) {
  auto count = keras::make<Count>();
  keras::EarlyStopping stop({.patience = 2});
  const keras::Model model = keras::make<Net>();
  model.compile({.loss = "mse"});
  Tensor x = zeros({8, 4}), y = zeros({8, 1});
  keras::History history = model.fit(
      x, y, {.batch_size = 4, .epochs = 3, .verbose = 0, .callbacks = {count, stop}, .validation_data = {x, y}});
  EXPECT_EQ(count->epochs, 3);  // a callback's fields are there after fit
  EXPECT_EQ(history["loss"].size(), 3U);
  EXPECT_EQ(stop->stopped_epoch, 2);  // all zero: no better after the first
  EXPECT_EQ(model.fit({x, y}, {.epochs = 2, .verbose = 0, .callbacks = {count}})["loss"].size(), 2U);
  EXPECT_EQ(count->epochs, 5);
  data::Split split{x, y};
  EXPECT_EQ(model.fit(split, {.epochs = 1, .verbose = 0, .validation_data = split})["val_loss"].size(), 1U);
  EXPECT_EQ(model.fit(data::Dataset(split).batch(4), {.verbose = 0})["loss"].size(), 1U);
}

TEST(Traps, FitTakesSeveralInputsInOrderAndByName) {
  const Tensor image = keras::Input({4}, {.name = "image"}), meta = keras::Input({4}, {.name = "meta"});
  const Tensor label = layers::Dense(1, {.name = "label"})(image + meta);
  const Tensor score = layers::Dense(1, {.name = "score"})(image - meta);
  keras::Model model({.inputs = {image, meta}, .outputs = {label, score}});
  model.compile({.loss = {{"label", "mse"}, {"score", "mae"}}});
  const Tensor x = zeros({8, 4}), y = zeros({8, 1});
  EXPECT_EQ(model.fit({x, x}, {y, y}, {.epochs = 1, .verbose = 0})["loss"].size(), 1U);
  EXPECT_EQ(
      model.fit({{"meta", x}, {"image", x}}, {{"label", y}, {"score", y}}, {.epochs = 1, .verbose = 0})["loss"].size(),
      1U);
}

TEST(Traps, ArithmeticOfTensorsVariablesAndNumbers) {
  const Variable w(full({3}, 2.0), {.name = "w"});
  const Tensor x = full({3}, 1.0);
  const Tensor y = 2 * x + x * 2.0 - 3U * w + w * w + w * 2 + x * w + w * x + x / true;
  EXPECT_EQ(y.data<float>()[0], 2 + 2 - 6 + 4 + 4 + 2 + 2 + 1);
  const Tensor masks[] = {x == 1, 1 == x, w == w, x != 0.5F};
  for (const Tensor& m : masks) {
    EXPECT_EQ(m.dtype(), DType::kBool);
    EXPECT_TRUE(m.data<bool>()[0]);
  }
  EXPECT_EQ(reduce_sum(std::size_t{3} * x).item(), 9);
  EXPECT_EQ(tanh(0.0), 0.0);  // the C functions stay
  EXPECT_EQ(tanh(w).shape(), Shape{3});
}

TEST(Traps, CompileTakesNamesObjectsFunctionsAndMaps) {
  using keras::CompileOptions;
  CompileOptions name{.loss = "mse"}, object{.loss = keras::BinaryCrossentropy({.from_logits = true})};
  CompileOptions lambda{.loss = [](const Tensor& t, const Tensor& p) { return t - p; }};
  CompileOptions map{.loss = {{"a", "mse"}, {"b", keras::BinaryCrossentropy()}},
                     .loss_weights = {{"a", 1}, {"b", 0.5}}};
  CompileOptions single{.loss = {{"a", "mse"}}};
  EXPECT_EQ(name.loss.one().name(), "mse");
  EXPECT_TRUE(object.loss.one().object().has_value());
  EXPECT_TRUE(lambda.loss.one().object().has_value());
  EXPECT_EQ(map.loss.outputs().size(), 2U);
  EXPECT_TRUE(map.loss.outputs().at("b").object().has_value());
  EXPECT_EQ(single.loss.outputs().at("a").name(), "mse");

  CompileOptions list{.metrics = {"accuracy", keras::Mean()}}, two{.metrics = {"ab", "cd"}},
      first{.metrics = {"accuracy"}};
  CompileOptions per{.metrics = {{"a", {"accuracy", "mae"}}, {"b", "mae"}}}, one{.metrics = {{"a", "mae"}}};
  CompileOptions inner{.metrics = {{"a", {"mae"}}}};
  EXPECT_EQ(list.metrics.one().size(), 2U);
  EXPECT_EQ(two.metrics.one()[1].name(), "cd");
  EXPECT_EQ(first.metrics.one().size(), 1U);
  EXPECT_EQ(per.metrics.outputs().at("a").size(), 2U);
  EXPECT_EQ(per.metrics.outputs().at("b")[0].name(), "mae");
  EXPECT_EQ(one.metrics.outputs().size(), 1U);
  EXPECT_EQ(inner.metrics.outputs().at("a").size(), 1U);

  keras::Adam adam({.learning_rate = 1e-3, .beta_1 = 0.8});
  CompileOptions by_name{.optimizer = "adam"}, by_object{.optimizer = adam},
      computed{.optimizer = std::string("a") + "dam"};
  EXPECT_EQ(by_name.optimizer.name(), "adam");
  EXPECT_TRUE(*by_object.optimizer.object() == adam);
  EXPECT_EQ(computed.optimizer.name(), "adam");
}

Result<int> Half(int n) {
  if (n % 2 != 0) return Status(Code::kInvalidArgument, "half: got an odd number, expected an even one");
  return n / 2;
}
Result<std::string> Text() { return "a string from a literal"; }

TEST(Traps, Results) {
  EXPECT_EQ(Half(4).value(), 2);
  EXPECT_EQ(Half(3).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(Thrown([] { (void)Half(3).value(); }), Code::kInvalidArgument);
  EXPECT_EQ(Thrown([] { Result<void>(Half(1).status()).value(); }), Code::kInvalidArgument);
  const Result<std::string> kept = Text();
  EXPECT_EQ(kept.value().size(), 23U);
  int letters = 0;
  for (char c : Text().value()) letters += c != 0 ? 1 : 0;  // of a temporary
  EXPECT_EQ(letters, 23);
}

TEST(Traps, WhatIsNotThereThrows) {
  EXPECT_EQ(Thrown([] { (void)keras::Config().number("x"); }), Code::kNotFound);
  EXPECT_EQ(Thrown([] { (void)keras::Config({{"x", "text"}}).number("x"); }), Code::kInvalidArgument);
  EXPECT_EQ(Thrown([] { (void)Dim::any().value(); }), Code::kFailedPrecondition);
  EXPECT_EQ(Thrown([] {
              if (keras::Input({3})) return;
            }),
            Code::kFailedPrecondition);
  EXPECT_EQ(Thrown([] {
              const auto traced = function([](const Tensor& x) {
                if (reduce_sum(x) > 0) return x;
                return -x;
              });
              (void)traced(ones({2}));
            }),
            Code::kFailedPrecondition);
  EXPECT_EQ(Thrown([] {
              if (ones({2}) == ones({2})) return;
            }),
            Code::kInvalidArgument);  // two elements
  EXPECT_EQ(Thrown([] { (void)keras::Sequential({layers::Dense(1)}).get_layer("no"); }), Code::kNotFound);
  EXPECT_EQ(Thrown([] { (void)keras::Sequential({layers::Dense(1)}).fit(zeros({2, 2}), zeros({2, 1})); }),
            Code::kFailedPrecondition);  // not compiled
}

TEST(Traps, ATemporaryHistoryDoesNotDangle) {
  keras::Sequential model({layers::Dense(1)});
  model.compile({.loss = "mse"});
  int epochs = 0;
  for (double loss : model.fit(zeros({4, 2}), zeros({4, 1}), {.epochs = 2, .verbose = 0})["loss"])
    epochs += loss == 0 ? 1 : 0;
  EXPECT_EQ(epochs, 2);
}

TEST(Traps, Structures) {
  std::tuple<Tensor, std::map<std::string, std::vector<Tensor>>> nested = {zeros({1}),
                                                                           {{"a", {zeros({2}), zeros({3})}}}};
  std::vector<Tensor> flat = flatten(nested);
  EXPECT_EQ(flat.size(), 3U);
  EXPECT_EQ(std::get<1>(rebuild(nested, flat)).at("a")[1].dim(0).value(), 3);
  auto step = function([](const State& s, const Tensor& x, bool, int n) { return State{s.h + x * n, {x, x}}; });
  auto [h, stack] = step({ones({2}), {}}, ones({2}), true, 3);
  EXPECT_EQ(stack.size(), 2U);
  EXPECT_EQ(h.data<float>()[0], 4);
  EXPECT_EQ(flatten(step({h, stack}, h, false, 1)).size(), 3U);
  Function<Tensor(const Tensor&)> member = function(+[](const Tensor& x) { return relu(x); });
  EXPECT_TRUE(member(h).defined());
}

TEST(Traps, DataSetsAndSeveralOutputs) {
  data::Dataset rows(data::Split{zeros({8, 2}), zeros({8})});
  int batches = 0;
  for (const auto& [images, labels] : rows.shuffle(8, {.seed = 1}).batch(2).prefetch()) {
    EXPECT_EQ(images.shape(), (Shape{2, 2}));
    EXPECT_EQ(labels.shape(), Shape{2});
    ++batches;
  }
  EXPECT_EQ(batches, 4);
  for (const Tensor& x : rows.map([](const data::Split& s) { return s.images; })) EXPECT_EQ(x.shape(), Shape{2});
  auto [values, indices] = top_k(zeros({4}), 2, {.sorted = false});
  EXPECT_EQ(concat({values, cast(indices, DType::kF32)}, {.axis = 0}).shape(), Shape{4});
}

TEST(Traps, GradientsOfLists) {
  Variable w(ones({1})), v = w;
  v.assign(full({1}, 5));
  EXPECT_EQ(Tensor(w).item(), 5);  // a copy of a Variable is the same cell
  EXPECT_TRUE(v.same_as(w));
  EXPECT_EQ(Thrown([&] { v.assign(zeros({5})); }), Code::kInvalidArgument);
  GradientTape tape({.persistent = true});
  const Tensor x = full({1}, 3);
  tape.watch(x);
  const Tensor y = x * x * w;
  EXPECT_EQ(tape.gradient(y, {w, v}).size(), 2U);
  EXPECT_EQ(tape.gradient(y, {x})[0].item(), 30);
  EXPECT_EQ(tape.gradient(y, w).item(), 9);
  EXPECT_FALSE(tape.gradient(y, Variable(ones({1}))).defined());
}

template <class M>
double Accuracy(M& model, const data::Split& split) {
  return model.evaluate(split, {.verbose = 0})["accuracy"];
}

TEST(Traps, Calls) {
  Tensor x = ones({2, 4});
  auto swap = keras::make<Swap>();
  EXPECT_EQ(swap.call_all({x, x}).size(), 2U);
  EXPECT_TRUE(Thrown([&] { (void)swap({x, x}); }).has_value());  // two outputs are not one
  EXPECT_EQ(layers::Dense(3)({x}).shape(), (Shape{2, 3}));       // a list of one
  const keras::Model net = keras::make<Net>();
  net.compile({.loss = "mse", .metrics = {"accuracy"}});
  EXPECT_EQ(net(x, {.training = true}).shape(), (Shape{2, 1}));
  EXPECT_GE(Accuracy(net, {x, zeros({2, 1})}), 0);  // a template may call evaluate; const handles work
  EXPECT_TRUE(Scale::from_config(keras::make<Scale>(2)->get_config()).trainable_variables().empty());
  const keras::Config config = keras::make<Scale>()->get_config();
  EXPECT_EQ(config.text("label"), "a");  // not a bool
  EXPECT_TRUE(config.flag("exact"));
  EXPECT_EQ(config.integer("size"), 3);
  layers::Conv2D conv(8, {3, 5},
                      {.strides = 2,
                       .padding = "same",
                       .activation = [](const Tensor& t) { return relu(t); },
                       .use_bias = false,
                       .name = "c"});
  EXPECT_EQ(conv(zeros({1, 6, 6, 3})).shape(), (Shape{1, 3, 3, 8}));
}

}  // namespace traps
