#include "serve/core/shadow.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/json_writer.h"
#include "base/log.h"
#include "tensor/npz.h"

namespace tenon::serve {
namespace {

/// The largest relative difference of two outputs; infinity (and why) when they cannot be compared.
double Difference(const Literal& a, const Literal& b, std::string& reason) {
  if (a.dtype() != b.dtype() || a.dims() != b.dims()) {
    reason = "other dtype or shape";
    return INFINITY;
  }
  if (identical(a, b)) return 0;
  if (!is_float(a.dtype())) {
    reason = "other values";
    return INFINITY;
  }
  double largest = 0, worst = 0;
  for (std::int64_t i = 0; i < a.size(); ++i)
    if (const double x = std::abs(a.at(i)); std::isfinite(x)) largest = std::max(largest, x);
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double x = a.at(i), y = b.at(i);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    const double d = std::abs(x - y);
    if (!std::isfinite(d)) {
      reason = "not finite";
      return INFINITY;
    }
    worst = std::max(worst, d);
  }
  reason = "other values";
  return largest > 0 ? worst / largest : (worst > 0 ? INFINITY : 0);
}

}  // namespace

Shadow::Shadow(ShadowOptions options, std::shared_ptr<Manager> manager, std::shared_ptr<ServerMetrics> metrics)
    : options_(std::move(options)),
      manager_(std::move(manager)),
      metrics_(std::move(metrics)),
      thread_([this] { Loop(); }) {}

Shadow::~Shadow() { Stop(); }

void Shadow::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    work_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

/// Tells the manager what follows from the model's state. With the lock held.
void Shadow::Apply(const std::string& name, Model& model) {
  std::vector<AspiredVersion> versions;
  for (const AspiredVersion& v : model.announced)
    if (std::ranges::find(model.held_back, v) == model.held_back.end()) versions.push_back(v);
  if (model.serving && std::ranges::find(versions, *model.serving) == versions.end() && !model.announced.empty())
    versions.push_back(*model.serving);
  std::vector<std::int64_t> not_latest;
  if (model.shadow) not_latest.push_back(model.shadow->version);
  manager_->SetHeldBack(name, std::move(not_latest));
  manager_->SetAspired(name, std::move(versions));
  active_ = static_cast<int>(std::ranges::count_if(models_, [](const auto& m) { return m.second.shadow.has_value(); }));
}

void Shadow::SetAspired(const std::string& name, std::vector<AspiredVersion> versions) {
  const std::lock_guard lock(mutex_);
  Model& model = models_[name];
  model.announced = std::move(versions);
  std::erase_if(model.held_back, [&](const AspiredVersion& v) {
    return std::ranges::find(model.announced, v) == model.announced.end();
  });
  if (model.announced.empty()) {
    model = Model();
    Apply(name, model);
    return;
  }
  const AspiredVersion newest = *std::ranges::max_element(model.announced, {}, &AspiredVersion::version);
  const bool serves = model.serving && manager_->serving().Specific(name, model.serving->version).ok();
  if (!serves) {
    // Nothing to compare with (the first version, or one that did not load): the newest takes over as usual.
    model.serving = newest;
    model.shadow.reset();
  } else if (newest == *model.serving || newest.version < model.serving->version) {
    model.shadow.reset();
    if (newest.version < model.serving->version) model.serving = newest;  // a rollback is done at once
  } else if (std::ranges::find(model.held_back, newest) != model.held_back.end()) {
    model.shadow.reset();
  } else if (!model.shadow || !(*model.shadow == newest)) {
    model.shadow = newest;
    model.state = "SHADOW";
    model.version = newest.version;
    model.agreed = model.disagreed = model.dropped = 0;
    model.worst = {};
  }
  Apply(name, model);
}

bool Shadow::Wants(const ServableId& id, const Signature&) {
  if (active_.load(std::memory_order_relaxed) == 0) return false;
  thread_local std::minstd_rand random(std::random_device{}());
  if (std::uniform_real_distribution<double>()(random) >= options_.fraction) return false;
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(id.name);
  return it != models_.end() && it->second.shadow && it->second.serving && it->second.serving->version == id.version;
}

void Shadow::Ran(const ServableHandle& handle, const Signature& signature, const std::vector<Literal>& inputs,
                 std::span<const int> wanted, const CallKind&, const Result<std::vector<Literal>>& outputs) {
  if (!outputs.ok()) return;
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(handle.id().name);
  if (it == models_.end() || !it->second.shadow || stopping_) return;
  if (queue_.size() >= options_.queue) {
    ++it->second.dropped;
    metrics_->shadow_requests.At({it->first, std::to_string(it->second.version), "dropped"}).Add();
    return;
  }
  queue_.push_back({.model = it->first,
                    .serving = handle.id().version,
                    .version = it->second.shadow->version,
                    .signature = signature.name,
                    .inputs = inputs,
                    .wanted = {wanted.begin(), wanted.end()},
                    .outputs = *outputs});
  work_.notify_one();
}

void Shadow::Loop() {
  ::pthread_setname_np(::pthread_self(), "tenon-shadow");
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), 10);  // requests come first
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const Mirrored request = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    try {
      Compare(request);
    } catch (const std::exception& error) {
      base::Log(base::LogLevel::kWarning, std::string("shadow: a request could not be compared: ") + error.what());
    }
    lock.lock();
  }
}

/// The output that is farthest beyond its limit, into `found`.
void Shadow::CompareOutputs(const Mirrored& request, const ServableHandle& shadow, const Signature& signature,
                            const std::vector<Literal>& outputs, Worst& found) const {
  bool same = true;
  for (std::size_t i = 0; same && i < outputs.size(); ++i) same = identical(request.outputs[i], outputs[i]);
  if (same) return;
  // Both in float64: what differs there too is no rounding.
  std::vector<Literal> wide_serving, wide_shadow;
  if (options_.tolerance <= 0 && options_.compare) {
    const Result<ServableHandle> serving = manager_->serving().Specific(request.model, request.serving);
    const Signature* theirs = serving.ok() ? (*serving)->FindSignature(request.signature) : nullptr;
    if (theirs != nullptr) {
      Result<std::vector<Literal>> a = (*serving)->RunWide(*theirs, request.inputs, request.wanted);
      Result<std::vector<Literal>> b = shadow->RunWide(signature, request.inputs, request.wanted);
      if (a.ok() && b.ok() && a->size() == outputs.size() && b->size() == outputs.size()) {
        wide_serving = *std::move(a);
        wide_shadow = *std::move(b);
      }
    }
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    ShadowDifference d;
    if (!wide_serving.empty()) {
      d = options_.compare(request.outputs[i], wide_serving[i], outputs[i], wide_shadow[i]);
    } else {
      d.limit = options_.tolerance > 0 ? options_.tolerance : kShadowFallback;
      d.difference = Difference(request.outputs[i], outputs[i], d.reason);
    }
    Worst worst = found;
    worst.difference = d.difference;
    worst.limit = d.limit;
    if (d.difference <= 0 || worst.excess() <= found.excess()) continue;
    const std::size_t at = request.wanted.empty() ? i : static_cast<std::size_t>(request.wanted[i]);
    worst.measure = wide_serving.empty() ? "relative" : "budget";
    worst.reason = d.reason;
    worst.output = at < signature.outputs.size() ? signature.outputs[at].alias : "";
    found = worst;
  }
}

void Shadow::Compare(const Mirrored& request) {
  const Result<ServableHandle> handle = manager_->serving().Specific(request.model, request.version);
  if (!handle.ok()) return;  // not loaded yet
  Worst found;
  found.signature = request.signature;
  found.difference = 0;
  std::vector<Literal> outputs;
  const Signature* signature = (*handle)->FindSignature(request.signature);
  if (signature == nullptr) {
    found.difference = INFINITY;
    found.reason = "the signature is missing";
  } else {
    Result<std::vector<Literal>> ran = (*handle)->Run(*signature, request.inputs, request.wanted, kNoDeadline);
    if (!ran.ok() || ran->size() != request.outputs.size()) {
      found.difference = INFINITY;
      found.reason = ran.ok() ? "another number of outputs" : ran.status().message();
    } else {
      outputs = *std::move(ran);
      CompareOutputs(request, *handle, *signature, outputs, found);
    }
  }
  Judge(request, found, outputs);
}

std::string Shadow::Save(const Mirrored& request, const std::vector<Literal>& outputs) const {
  if (options_.report_dir.empty()) return {};
  std::string name = request.model;
  std::ranges::replace(name, '/', '_');
  const std::string path = fmt::format("{}/{}.{}.npz", options_.report_dir, name, request.version);
  std::map<std::string, Literal> arrays;
  for (std::size_t i = 0; i < request.inputs.size(); ++i) arrays.emplace(fmt::format("input_{}", i), request.inputs[i]);
  for (std::size_t i = 0; i < request.outputs.size(); ++i)
    arrays.emplace(fmt::format("serving_{}", i), request.outputs[i]);
  for (std::size_t i = 0; i < outputs.size(); ++i) arrays.emplace(fmt::format("shadow_{}", i), outputs[i]);
  if (const Status s = npy::WriteNpz(path, arrays); !s.ok()) {
    base::Log(base::LogLevel::kWarning, "shadow: " + s.message());
    return {};
  }
  return path;
}

void Shadow::Judge(const Mirrored& request, const Worst& found, const std::vector<Literal>& outputs) {
  const bool agrees = found.difference <= found.limit;
  std::unique_lock lock(mutex_);
  const auto it = models_.find(request.model);
  if (it == models_.end() || !it->second.shadow || it->second.shadow->version != request.version) return;
  Model& model = it->second;
  metrics_->shadow_requests.At({request.model, std::to_string(request.version), agrees ? "agreed" : "disagreed"}).Add();
  ++(agrees ? model.agreed : model.disagreed);
  if (found.excess() > model.worst.excess()) {
    model.worst = found;
    if (!agrees) {
      lock.unlock();
      const std::string file = Save(request, outputs);
      lock.lock();
      model.worst.file = file;  // map nodes stay where they are; only this thread judges
      if (!model.shadow || model.shadow->version != request.version) return;
    }
  }
  if (model.disagreed > options_.promote_after / 100) {
    base::Log(base::LogLevel::kError,
              fmt::format("shadow: model {} version {} is held back: {} of {} requests disagreed; the worst by {:g}, "
                          "{} limit {:g} ({})",
                          request.model, request.version, model.disagreed, model.agreed + model.disagreed,
                          model.worst.difference, model.worst.measure, model.worst.limit, model.worst.reason));
    model.state = "HELD_BACK";
    model.held_back.push_back(*model.shadow);
    model.shadow.reset();
    Apply(request.model, model);
  } else if (model.agreed >= options_.promote_after) {
    base::Log(base::LogLevel::kInfo, fmt::format("shadow: model {} version {} is promoted after {} agreeing requests",
                                                 request.model, request.version, model.agreed));
    model.state = "PROMOTED";
    model.serving = std::exchange(model.shadow, std::nullopt);
    Apply(request.model, model);
  }
}

std::optional<std::string> Shadow::Report(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto it = models_.find(name);
  if (it == models_.end()) return std::nullopt;
  const Model& m = it->second;
  base::JsonWriter json({.indent = 4});
  json.Object().Key("model").String(name).Key("state").String(m.state);
  if (m.serving) json.Key("serving_version").Number(m.serving->version);
  if (m.version != 0) json.Key("shadow_version").Number(m.version);
  json.Key("agreed").Number(m.agreed).Key("disagreed").Number(m.disagreed).Key("dropped").Number(m.dropped);
  json.Key("promote_after").Number(options_.promote_after).Key("tolerance").Number(options_.tolerance);
  if (m.worst.difference >= 0) {
    json.Key("worst").Object().Key("signature").String(m.worst.signature).Key("output").String(m.worst.output);
    json.Key("measure").String(m.worst.measure).Key("difference");
    if (std::isfinite(m.worst.difference))
      json.Number(m.worst.difference);
    else
      json.Null();
    json.Key("limit").Number(m.worst.limit).Key("reason").String(m.worst.reason).Key("file").String(m.worst.file).End();
  }
  json.End();
  return std::move(json).Take();
}

}  // namespace tenon::serve
