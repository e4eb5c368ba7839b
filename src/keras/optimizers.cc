// Keras 3's optimizers. Order in apply: clip, decoupled weight decay, update, iterations += 1.
#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "eager/trace.h"
#include "ir/variable.h"
#include "keras/numeric.h"
#include "tenon/keras/training.h"

namespace tenon::keras {
namespace {

Tensor Norm(const Tensor& g) { return Do("sqrt", ReduceSum(Do("square", g))); }
Tensor Sqrt(const Tensor& x) { return Do("sqrt", x); }
Tensor Power(double base, const Tensor& exponent) {
  return eager::ApplyOne("power", {eager::Weak(base, exponent), exponent});
}

std::string Underscored(std::string path) {
  std::replace(path.begin(), path.end(), '/', '_');
  return path;
}

}  // namespace

OptimizerImpl::OptimizerImpl(std::string name, Schedule learning_rate, CommonOptimizerOptions common)
    : name_(std::move(name)),
      schedule_(std::move(learning_rate)),
      common_(common),
      iterations_(std::make_shared<ir::VariableCell>(name_ + "/iteration", Literal::scalar<std::int64_t>(0), false)) {
  if (int{common.clipnorm.has_value()} + int{common.clipvalue.has_value()} + int{common.global_clipnorm.has_value()} >
      1)
    fail(Code::kInvalidArgument, name_ + ": at most one of clipnorm, clipvalue and global_clipnorm may be given");
  if (schedule_.is_constant())
    learning_rate_ = Variable(std::make_shared<ir::VariableCell>(
        name_ + "/learning_rate", Literal::scalar(static_cast<float>(schedule_.constant())), false));
}

void OptimizerImpl::build(std::span<const Variable> variables) {
  if (built_) return;
  const eager::SuspendTrace suspend;
  built_ = true;
  tracked_.assign(variables.begin(), variables.end());
  build_slots(variables);
}

std::vector<Variable> OptimizerImpl::add_slots(std::span<const Variable> variables, const std::string& slot) {
  std::vector<Variable> out;
  for (const Variable& v : variables) {
    out.emplace_back(std::make_shared<ir::VariableCell>(name_ + "/" + Underscored(v.path()) + "_" + slot,
                                                        Literal(v.shape(), v.dtype()), false));
    slots_.push_back(out.back());
  }
  return out;
}

Tensor OptimizerImpl::learning_rate() const {
  return schedule_.is_constant() ? learning_rate_.value() : schedule_(iterations_.value());
}

void OptimizerImpl::set_learning_rate(double value) {
  if (!schedule_.is_constant())
    fail(Code::kFailedPrecondition, name_ + ": the learning rate follows a schedule and cannot be set");
  learning_rate_.assign(Tensor(Literal::scalar(static_cast<float>(value))));
}

std::vector<Variable> OptimizerImpl::variables() const {
  std::vector<Variable> out = {iterations_};
  if (learning_rate_.defined()) out.push_back(learning_rate_);
  out.insert(out.end(), slots_.begin(), slots_.end());
  return out;
}

Config OptimizerImpl::get_config() const {
  Config c{{"name", name_}};
  if (schedule_.is_constant()) c.set("learning_rate", schedule_.constant());
  return c;
}

void OptimizerImpl::apply(std::span<const Tensor> gradients, std::span<const Variable> variables) {
  if (gradients.size() != variables.size())
    fail(Code::kInvalidArgument, name_ + ": got " + std::to_string(gradients.size()) + " gradients for " +
                                     std::to_string(variables.size()) + " variables");
  build(variables);
  std::vector<Tensor> used(gradients.begin(), gradients.end());
  bool any = false;
  for (std::size_t i = 0; i < used.size(); ++i) {
    any = any || used[i].defined();
    if (!used[i].defined())
      base::Log(base::LogLevel::kWarning,
                name_ + ": variable \"" + variables[i].path() + "\" has no gradient; it stays as it is");
  }
  if (!any)
    fail(Code::kInvalidArgument,
         name_ + ": no variable has a gradient; does the loss depend on the trainable variables?");
  if (common_.clipnorm) {
    for (Tensor& g : used)
      if (g.defined()) {
        const Tensor norm = Norm(g);
        // Left alone while the norm is within the limit.
        g = g * (*common_.clipnorm / eager::ApplyOne("maximum", {norm, eager::Weak(*common_.clipnorm, norm)}));
      }
  } else if (common_.clipvalue) {
    for (Tensor& g : used)
      if (g.defined()) g = Clip(g, -*common_.clipvalue, *common_.clipvalue);
  } else if (common_.global_clipnorm) {
    Tensor sum;
    for (const Tensor& g : used)
      if (g.defined()) {
        const Tensor square = ReduceSum(Do("square", g));
        sum = sum.defined() ? sum + square : square;
      }
    const Tensor norm = Sqrt(sum);
    const Tensor scale =
        *common_.global_clipnorm / eager::ApplyOne("maximum", {norm, eager::Weak(*common_.global_clipnorm, norm)});
    for (Tensor& g : used)
      if (g.defined()) g = g * scale;
  }
  const Tensor rate = learning_rate();
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (!used[i].defined()) continue;
    const auto at =
        std::find_if(tracked_.begin(), tracked_.end(), [&](const Variable& v) { return v.same_as(variables[i]); });
    if (at == tracked_.end())
      fail(Code::kInvalidArgument, name_ + ": variable \"" + variables[i].path() +
                                       "\" was not among those of the first apply; make a new optimizer for it");
    if (common_.weight_decay) {
      const Tensor w = variables[i];
      variables[i].assign(w - w * (rate * *common_.weight_decay));
    }
    update(static_cast<std::size_t>(at - tracked_.begin()), used[i], variables[i], rate);
  }
  iterations_.assign(iterations_ + 1);
}

namespace {

class SgdImpl : public OptimizerImpl {
 public:
  explicit SgdImpl(const SGDOptions& o)
      : OptimizerImpl("sgd", o.learning_rate, o.common), momentum_(o.momentum), nesterov_(o.nesterov) {
    if (momentum_ < 0 || momentum_ > 1)
      fail(Code::kInvalidArgument, "SGD: got momentum " + std::to_string(momentum_) + ", expected one in [0, 1]");
  }
  Config get_config() const override {
    Config c = OptimizerImpl::get_config();
    c.set("momentum", momentum_);
    c.set("nesterov", nesterov_);
    return c;
  }

 protected:
  void build_slots(std::span<const Variable> variables) override {
    if (momentum_ != 0) velocity_ = add_slots(variables, "momentum");
  }
  void update(std::size_t i, const Tensor& g, const Variable& w, const Tensor& rate) override {
    if (momentum_ == 0) {
      w.assign(w - g * rate);
      return;
    }
    const Tensor v = velocity_[i] * momentum_ - g * rate;
    velocity_[i].assign(v);
    w.assign(nesterov_ ? w + (v * momentum_ - g * rate) : w + v);
  }

 private:
  double momentum_;
  bool nesterov_;
  std::vector<Variable> velocity_;
};

class AdamImpl : public OptimizerImpl {
 public:
  AdamImpl(const AdamOptions& o, std::string name) : OptimizerImpl(std::move(name), o.learning_rate, o.common), o_(o) {}
  Config get_config() const override {
    Config c = OptimizerImpl::get_config();
    c.set("beta_1", o_.beta_1);
    c.set("beta_2", o_.beta_2);
    c.set("epsilon", o_.epsilon);
    c.set("amsgrad", o_.amsgrad);
    return c;
  }

 protected:
  void build_slots(std::span<const Variable> variables) override {
    for (const Variable& v : variables) {  // interleaved, as Keras saves them
      m_.push_back(add_slots(std::span(&v, 1), "momentum")[0]);
      v_.push_back(add_slots(std::span(&v, 1), "velocity")[0]);
    }
    if (o_.amsgrad) hat_ = add_slots(variables, "velocity_hat");
  }
  void update(std::size_t i, const Tensor& g, const Variable& w, const Tensor& rate) override {
    const Tensor t = CastTo(iterations() + 1, g.dtype());
    const Tensor alpha = rate * Sqrt(1.0 - Power(o_.beta_2, t)) / (1.0 - Power(o_.beta_1, t));
    const Tensor m0 = m_[i], v0 = v_[i];
    const Tensor m = m0 + (g - m0) * (1 - o_.beta_1);
    const Tensor v = v0 + (Do("square", g) - v0) * (1 - o_.beta_2);
    m_[i].assign(m);
    v_[i].assign(v);
    Tensor scale = v;
    if (o_.amsgrad) {
      scale = eager::ApplyOne("maximum", {hat_[i].value(), v});
      hat_[i].assign(scale);
    }
    w.assign(w - m * alpha / (Sqrt(scale) + o_.epsilon));
  }

 private:
  AdamOptions o_;
  std::vector<Variable> m_, v_, hat_;
};

class RmspropImpl : public OptimizerImpl {
 public:
  explicit RmspropImpl(const RMSpropOptions& o) : OptimizerImpl("rmsprop", o.learning_rate, o.common), o_(o) {}
  Config get_config() const override {
    Config c = OptimizerImpl::get_config();
    c.set("rho", o_.rho);
    c.set("momentum", o_.momentum);
    c.set("epsilon", o_.epsilon);
    c.set("centered", o_.centered);
    return c;
  }

 protected:
  void build_slots(std::span<const Variable> variables) override {
    velocity_ = add_slots(variables, "velocity");
    if (o_.momentum > 0) momentum_ = add_slots(variables, "momentum");
    if (o_.centered) average_ = add_slots(variables, "average_gradient");
  }
  void update(std::size_t i, const Tensor& g, const Variable& w, const Tensor& rate) override {
    const Tensor v = velocity_[i] * o_.rho + Do("square", g) * (1 - o_.rho);
    velocity_[i].assign(v);
    Tensor denominator = v + o_.epsilon;  // inside the root
    if (o_.centered) {
      const Tensor a = average_[i] * o_.rho + g * (1 - o_.rho);
      average_[i].assign(a);
      denominator = v - Do("square", a) + o_.epsilon;
    }
    const Tensor increment = g * rate / Sqrt(denominator);
    if (o_.momentum > 0) {
      const Tensor m = momentum_[i] * o_.momentum + increment;
      momentum_[i].assign(m);
      w.assign(w - m);
    } else {
      w.assign(w - increment);
    }
  }

 private:
  RMSpropOptions o_;
  std::vector<Variable> velocity_, momentum_, average_;
};

}  // namespace

SGD::SGD(SGDOptions o) : Optimizer(std::make_shared<SgdImpl>(o)) {}
Adam::Adam(AdamOptions o) : Optimizer(std::make_shared<AdamImpl>(o, "adam")) {}
AdamW::AdamW(AdamWOptions o)
    : Optimizer([&]() -> std::shared_ptr<OptimizerImpl> {
        AdamOptions a{.learning_rate = o.learning_rate,
                      .beta_1 = o.beta_1,
                      .beta_2 = o.beta_2,
                      .epsilon = o.epsilon,
                      .amsgrad = o.amsgrad,
                      .common = o.common};
        a.common.weight_decay = o.weight_decay;
        return std::make_shared<AdamImpl>(a, "adamw");
      }()) {}
RMSprop::RMSprop(RMSpropOptions o) : Optimizer(std::make_shared<RmspropImpl>(o)) {}

Optimizer Optimizer::get(const NameOr<Optimizer>& which) {
  if (which.object()) return *which.object();
  std::string name = which.name();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name == "sgd") return SGD();
  if (name == "adam") return Adam();
  if (name == "adamw") return AdamW();
  if (name == "rmsprop") return RMSprop();
  fail(Code::kNotFound,
       "optimizer \"" + which.name() + "\": there is none of that name, expected one of: adam, adamw, rmsprop, sgd");
}

}  // namespace tenon::keras
